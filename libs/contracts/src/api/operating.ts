/** What the API answers to those who set up or run a server, beside resources and runs. */
import { z } from 'zod'
import { resourceView, sessionView } from '../api.ts'
import { doctorView } from '../operator-views.ts'

const timestamp = z.iso.datetime()

/** The next instants of a schedule. */
export const scheduleTimesView = z.object({
  times: z.array(timestamp),
  /** The time zone that its fields are in; null for an interval. */
  timezone: z.string().nullable(),
})

const certificateView = z.object({
  subject: z.string(),
  issuer: z.string(),
  /** The names and addresses that it is for. */
  names: z.array(z.string()),
  validFrom: timestamp,
  validUntil: timestamp,
})
/** What files of certificates hold, which can be used. */
export const certificatesView = z.object({
  /** Of authorities. */
  ca: z.array(certificateView),
  /** The one that is shown to the API; null for none. */
  client: certificateView.nullable(),
})
export type CertificatesView = z.output<typeof certificatesView>

/** The sync of the sample project. */
export const SAMPLE_SYNC = 'sample-customers'

/** A project to try things with. Nothing of it is stored before somebody writes these resources. */
export const sampleView = z.object({
  /** Where it sends to; null on a server that has no receiver. Then there is no sample. */
  sendsTo: z.string().nullable(),
  /** In the order in which each comes after those that it refers to. */
  documents: z.array(z.object({ kind: resourceView.shape.kind, name: z.string(), yaml: z.string() })),
})
/** What the receiver got. */
export const sampleReceivedView = z.object({ received: z.unknown() })

/** What somebody changed or asked for. */
const auditEntry = z.object({
  /** Null for a change of before there was history. */
  at: timestamp.nullable(),
  /** The name of a token, or of a user; null if nobody knows. */
  by: z.string().nullable(),
  action: z.enum([
    ...(['create', 'update', 'delete'] as const),
    ...(['run', 'retry', 'resync', 'replay', 'discard', 'reset', 'approve', 'cancel'] as const),
    /** The vault's two. */
    ...(['set', 'remove'] as const),
  ]),
  kind: z.enum([...resourceView.shape.kind.options, 'secret', 'login']),
  name: z.string(),
  /** Of a change: the version that it made, and the project that it came with; empty for none. */
  version: z.int().min(1).nullable(),
  project: z.string(),
  /** Of an update: the fields that differ. */
  fields: z.array(z.string()),
  /** Of what was asked: the run. */
  run: z.string().nullable(),
})
/** Changes of resources and of the vault, and what people asked of syncs, the newest first. */
export const auditPage = z.object({ entries: z.array(auditEntry), next: z.string().nullable() })

/** Who has a token of the server. No document has the token itself. */
export const tokensView = z.object({
  tokens: z.array(
    z.object({
      name: z.string(),
      roles: sessionView.shape.roles,
      /** The variable of the server that it stands in. */
      from: z.enum(['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_TOKENS']),
      /** Null for one that this process has not seen since it started. */
      lastUsedAt: timestamp.nullable(),
    }),
  ),
  /** When the process started that answers. */
  since: timestamp,
})
export type TokensView = z.output<typeof tokensView>

const count = z.int().min(0)
/** How a server is, and what it works with. */
export const healthView = z.object({
  profile: z.enum(['embedded', 'distributed']),
  version: z.string(),
  /** Of Node. */
  node: z.string(),
  /** When the process started that answers. */
  startedAt: timestamp,
  /** As `sluice doctor` has them. */
  checks: doctorView.shape.checks,
  /** Where partitions are owned, by the groups of Kafka. Embedded: this process, which owns all. */
  processes: z.array(
    z.object({
      /** Such as `sluice-delivery`. */
      client: z.string(),
      host: z.string(),
      partitions: count,
      /** Syncs that it works for now. */
      syncs: z.array(z.string()),
    }),
  ),
  /** Stages at work: the detector, and what the open runs use. */
  stages: z.array(
    z.object({
      stage: z.enum(['change-detector', 'renderer', 'delivery']),
      /** Null for all syncs. */
      sync: z.string().nullable(),
      partitions: z.array(
        z.object({
          partition: count,
          /** Null if no process owns it now. */
          owner: z.string().nullable(),
          /** About so many records wait in it; null if that is not known. */
          lag: count.nullable(),
        }),
      ),
    }),
  ),
  /** What could not be found out. */
  notices: z.array(z.string()),
})

/** The destinations, and how much of their limits is in use. */
export const destinationsPage = z.object({
  destinations: z.array(
    z.object({
      name: z.string(),
      concurrency: z.object({
        /** How many requests may be in flight; the default if the destination does not say. */
        limit: z.int().min(1),
        /** How many are, with those that may begin at any moment; null if nobody knows. */
        inUse: count.nullable(),
      }),
    }),
  ),
  next: z.string().nullable(),
})

/**
 * Where the person logs in, the server that is given the code then, and the hosts that the login may go to.
 */
export const loginBegunView = z.object({ url: z.string(), codeTo: z.string(), for: z.string() })
/** A login that is kept, and the hosts that it may go to. */
export const loginFinishedView = z.object({
  destination: z.string(),
  for: z.string(),
  /** False: somebody has to log in again when it ends. */
  renews: z.boolean(),
})

export type ScheduleTimesView = z.output<typeof scheduleTimesView>
export type SampleView = z.output<typeof sampleView>
export type AuditPage = z.output<typeof auditPage>
export type DestinationsPage = z.output<typeof destinationsPage>
export type HealthView = z.output<typeof healthView>

/** Answers of the API for people who set up or run a server: audit, health, tokens, logins, the sample. */
import { z } from 'zod'
import { certificateView, resourceView, sessionView } from '../api.ts'
import { doctorView } from '../operator-views.ts'
import { destinationHealth, destinationHour } from '../views/destination-health.ts'
import { count, timestamp } from '../views/run-parts.ts'

/** The next instants of a schedule. */
export const scheduleTimesView = z.object({
  times: z.array(timestamp),
  /** The time zone of its cron fields. Null for an interval. */
  timezone: z.string().nullable(),
})

/** The contents of certificate files that passed the check. */
export const certificatesView = z.object({
  /** The certificates of authorities. */
  ca: z.array(certificateView),
  /** The certificate that Sluice shows to the API. Null without one. */
  client: certificateView.nullable(),
})
export type CertificatesView = z.output<typeof certificatesView>

/** The sample project. Nothing of it is stored before somebody writes its resources. */
export const sampleView = z.object({
  /** The URL that it sends to. Null on a server without a receiver, which offers no sample project. */
  sendsTo: z.string().nullable(),
  /** The documents, each after the documents that it refers to. */
  documents: z.array(z.object({ kind: resourceView.shape.kind, name: z.string(), yaml: z.string() })),
})
/** The body that the receiver of the sample project got. */
export const sampleReceivedView = z.object({ received: z.unknown() })

/** A change or a command of a person. */
const auditEntry = z.object({
  /** Null for a change by an earlier version of Sluice, which recorded no time. */
  at: timestamp.nullable(),
  /** The name of a token, or of a user. Null if it is unknown. */
  by: z.string().nullable(),
  action: z.enum([
    ...(['create', 'update', 'delete'] as const),
    ...(['run', 'retry', 'resync', 'replay', 'discard', 'reset', 'approve', 'cancel'] as const),
    /** Actions on the vault. */
    ...(['set', 'remove'] as const),
  ]),
  kind: z.enum([...resourceView.shape.kind.options, 'secret', 'login', 'token']),
  name: z.string(),
  /** The version that a change made. Null for any other action. */
  version: z.int().min(1).nullable(),
  /** The project that a change belongs to. Empty if it belongs to none. */
  project: z.string(),
  /** The fields that an update changed. */
  fields: z.array(z.string()),
  /** The run of a command. */
  run: z.string().nullable(),
  /**
   * The roles of a token that was made, and its end; `endsAt` is null if it has none. Absent for anything
   * else, and for a token that an earlier version made.
   */
  token: z.object({ roles: sessionView.shape.roles, endsAt: timestamp.nullable() }).optional(),
})
/** Changes of resources and of the vault, and what people asked of syncs, the newest first. */
export const auditPage = z.object({ entries: z.array(auditEntry), next: z.string().nullable() })

/** The ways to sign in to a server. */
export const signInView = z.object({
  /** True if a token lets somebody in. */
  token: z.boolean(),
  /** The host of the OpenID provider. Null without one. */
  provider: z.string().nullable(),
})
export type SignInView = z.output<typeof signInView>
/** The address at which the person signs in. */
export const signInBegunView = z.object({ url: z.string() })
/** The new session, and the path of the page to go to. */
export const signedInView = sessionView.extend({ to: z.string() })

/** The tokens of the server by name. The list has no token itself. */
export const tokensView = z.object({
  tokens: z.array(
    z.object({
      name: z.string(),
      roles: sessionView.shape.roles,
      /** The environment variable of the server that has the token; `made`: a person made it here. */
      from: z.enum(['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_TOKENS', 'made']),
      /** When a person made it, and who. Null for a token of the environment. */
      madeAt: timestamp.nullable(),
      madeBy: z.string().nullable(),
      /** The server refuses the token from then on. Null if it has no end. */
      endsAt: timestamp.nullable(),
      /** Null if the process has not seen the token since it started. */
      lastUsedAt: timestamp.nullable(),
    }),
  ),
  /** The start of the process that answers. */
  since: timestamp,
  /** The roles that the caller may give to a new token. */
  mayGive: sessionView.shape.roles,
  /** The reason why nobody can make a token here. Null if it is possible. */
  makesNone: z.string().nullable(),
})
/** A token that was just made. No other answer has it. */
export const tokenMadeView = z.object({
  name: z.string(),
  token: z.string(),
  roles: sessionView.shape.roles,
  endsAt: timestamp.nullable(),
})
export const tokenRevokedView = z.object({ revoked: z.string() })
export type TokenMadeView = z.output<typeof tokenMadeView>
export type TokensView = z.output<typeof tokensView>

/** The state of a server, and of the processes and services that it works with. */
export const healthView = z.object({
  profile: z.enum(['embedded', 'distributed']),
  version: z.string(),
  /** The version of Node. */
  node: z.string(),
  /** The start of the process that answers. */
  startedAt: timestamp,
  /** The checks of `sluice doctor`. */
  checks: doctorView.shape.checks,
  /** The owners of partitions, as Kafka's groups have them. Embedded, this process owns all. */
  processes: z.array(
    z.object({
      /** For example `sluice-delivery`. */
      client: z.string(),
      host: z.string(),
      partitions: count,
      /** The syncs that it works on now. */
      syncs: z.array(z.string()),
    }),
  ),
  /** The stages at work: the detector, and the stages of open runs. */
  stages: z.array(
    z.object({
      stage: z.enum(['change-detector', 'renderer', 'delivery']),
      /** Null if the stage works on all syncs. */
      sync: z.string().nullable(),
      partitions: z.array(
        z.object({
          partition: count,
          /** Null if no process owns it now. */
          owner: z.string().nullable(),
          /** The approximate number of records that wait in it. Null if it is unknown. */
          lag: count.nullable(),
        }),
      ),
    }),
  ),
  /** Sentences about what could not be found out. */
  notices: z.array(z.string()),
})

/** The destinations, the health of each, and the use of its limits. Earlier versions answer no health. */
export const destinationsPage = z.object({
  destinations: z.array(
    z.object({
      name: z.string(),
      health: destinationHealth.optional(),
      hour: destinationHour.optional(),
      concurrency: z.object({
        /** The most requests in flight; the default if the destination sets no limit. */
        limit: z.int().min(1),
        /** The requests in flight, with those that may begin at any moment. Null if they are unknown. */
        inUse: count.nullable(),
      }),
    }),
  ),
  next: z.string().nullable(),
})

/**
 * A login that has begun: the address at which the person logs in, the server that receives the code
 * afterwards, and the hosts that the login may go to.
 */
export const loginBegunView = z.object({ url: z.string(), codeTo: z.string(), for: z.string() })
/** A login that is kept, and the hosts that it may go to. */
export const loginFinishedView = z.object({
  destination: z.string(),
  for: z.string(),
  /** False if somebody has to log in again when the login ends. */
  renews: z.boolean(),
})

export type ScheduleTimesView = z.output<typeof scheduleTimesView>
export type SampleView = z.output<typeof sampleView>
export type AuditPage = z.output<typeof auditPage>
export type DestinationsPage = z.output<typeof destinationsPage>
export type HealthView = z.output<typeof healthView>

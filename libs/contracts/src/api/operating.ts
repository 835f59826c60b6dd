/** What the API answers to those who set up or run a server, beside resources and runs. */
import { z } from 'zod'
import { resourceView } from '../api.ts'

const timestamp = z.iso.datetime()

/** The sync of the sample project. */
export const SAMPLE_SYNC = 'sample-customers'

/** The next instants of a schedule. */
export const scheduleTimesView = z.object({
  times: z.array(timestamp),
  /** The time zone that its fields are in; null for an interval. */
  timezone: z.string().nullable(),
})

/** A project to try things with. Nothing of it is stored before somebody writes these resources. */
export const sampleView = z.object({
  /** Where it sends to; null on a server that has no receiver. Then there is no sample. */
  sendsTo: z.string().nullable(),
  /** In the order in which each comes after those that it refers to. */
  documents: z.array(z.object({ kind: resourceView.shape.kind, name: z.string(), yaml: z.string() })),
})
/** What the receiver got. */
export const sampleReceivedView = z.object({ received: z.unknown() })

export type ScheduleTimesView = z.output<typeof scheduleTimesView>
export type SampleView = z.output<typeof sampleView>

/** The JSON of notices, and of alerts with their states. Times are ISO 8601 in UTC. */
import { z } from 'zod'
import { count, timestamp } from '../views/run-parts.ts'
import { ALERT_CONDITIONS } from './alert-specs.ts'

const condition = z.enum(ALERT_CONDITIONS)

/** The run that a notice is about, with its counts. */
const noticeRun = z.object({
  id: z.string(),
  status: z.string(),
  startedAt: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  detected: count,
  delivered: count,
  /** Rows that were rejected, of unknown outcome, or not sent. */
  notDelivered: count,
  rowsInvalid: count,
})

/** A notice: a condition of an alert has begun, or it is over. */
export const alertNotice = z.object({
  /** Each attempt to send the notice has the same id, so that a receiver can ignore a second one. */
  id: z.string(),
  alert: z.string(),
  /** Null in a test. */
  sync: z.string().nullable(),
  condition: condition.nullable(),
  state: z.enum(['firing', 'recovered', 'test']),
  at: timestamp,
  /** The time at which the condition began. */
  since: timestamp,
  /** One line. */
  title: z.string(),
  /** The event in sentences. */
  text: z.string(),
  /** Advice on what to do about it. */
  todo: z.string().nullable(),
  run: noticeRun.nullable(),
  /** The three most frequent errors of the run, each with the key of one row. */
  errors: z.array(z.object({ message: z.string(), rows: count, key: z.string().nullable() })).max(3),
  /** The address of a page about it. Null if the console's address is not configured. */
  link: z.string().nullable(),
})

/** An alert with its state. */
const alertView = z.object({
  name: z.string(),
  title: z.string().nullable(),
  syncs: z.union([z.literal('all'), z.array(z.string())]),
  when: z.array(condition),
  /** Its target. `address` is the origin of a URL, or mail addresses. */
  to: z.object({ kind: z.enum(['webhook', 'slack', 'email']), address: z.string() }),
  /** `unwatched` means that no process has checked it yet. */
  state: z.enum(['ok', 'firing', 'unwatched']),
  firing: z.array(
    z.object({
      sync: z.string(),
      condition,
      since: timestamp,
      run: z.string().nullable(),
      text: z.string(),
    }),
  ),
  lastNotice: z.object({ id: z.string(), at: timestamp }).nullable(),
  /** Notices that could not be sent yet, and why. */
  undelivered: z
    .object({
      notices: count,
      since: timestamp,
      tries: count,
      error: z.string(),
      nextTryAt: timestamp,
    })
    .nullable(),
})
export const alertsView = z.object({ alerts: z.array(alertView) })

/** A test notice that the target has accepted. */
export const alertTestedView = z.object({ alert: z.string(), to: z.string(), id: z.string() })

export type NoticeRun = z.output<typeof noticeRun>
export type AlertNotice = z.output<typeof alertNotice>
export type AlertView = z.output<typeof alertView>
export type AlertsView = z.output<typeof alertsView>
export type AlertTestedView = z.output<typeof alertTestedView>

/**
 * Notices of alerts and the state of alerts, as people and their tools see them. Times are ISO 8601 in UTC.
 */
import { z } from 'zod'
import { ALERT_CONDITIONS } from './alert-specs.ts'

const timestamp = z.iso.datetime()
const count = z.int().min(0)
const condition = z.enum(ALERT_CONDITIONS)

/** The figures of a run that a notice is about. */
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

/** What an alert tells: that a condition has begun, or that it is over. */
export const alertNotice = z.object({
  /** The same for each try at telling it, so that a receiver can pass over a second one. */
  id: z.string(),
  alert: z.string(),
  /** Null in a test. */
  sync: z.string().nullable(),
  condition: condition.nullable(),
  state: z.enum(['firing', 'recovered', 'test']),
  at: timestamp,
  /** Since when the condition held; of a recovery: since when it had held. */
  since: timestamp,
  /** One line. */
  title: z.string(),
  /** What happened, in sentences. */
  text: z.string(),
  /** What to do about it. */
  todo: z.string().nullable(),
  run: noticeRun.nullable(),
  /** The three most frequent errors of the run. `key` is that of one of the rows. */
  errors: z.array(z.object({ message: z.string(), rows: count, key: z.string().nullable() })).max(3),
  /** A page about it; null if nobody has said where the console is. */
  link: z.string().nullable(),
})

/** An alert, and what is known of what it watches. */
const alertView = z.object({
  name: z.string(),
  title: z.string().nullable(),
  /** The names of the syncs, or all. */
  syncs: z.union([z.literal('all'), z.array(z.string())]),
  when: z.array(condition),
  /** How it tells, and whom: the host of a URL, or addresses. */
  to: z.object({ kind: z.enum(['webhook', 'slack', 'email']), address: z.string() }),
  /** `unwatched`: no process has looked at it yet. */
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
  /** Notices that could not be told yet, and why. */
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

/** A test notice that the target has taken. */
export const alertTestedView = z.object({ alert: z.string(), to: z.string(), id: z.string() })

export type NoticeRun = z.output<typeof noticeRun>
export type AlertNotice = z.output<typeof alertNotice>
export type AlertView = z.output<typeof alertView>
export type AlertsView = z.output<typeof alertsView>
export type AlertTestedView = z.output<typeof alertTestedView>

/** The state of an alert and one of its syncs, as JSON in the topic `alerts`. */
import { alertNotice } from '@sluice/contracts/specs/alert-views'
import { ALERT_CONDITIONS, type AlertConditionName } from '@sluice/contracts/specs/alert-specs'
import { z } from 'zod'

/** Milliseconds since 1970, within the range of a JavaScript date. */
const ms = z.int().min(0).max(8.64e15)

const firing = z.object({ since: ms, run: z.string().nullable(), text: z.string() })

/** The reason why the notices of the alert could not be sent, and the time of the next attempt. */
const trouble = z.object({ since: ms, tries: z.int().min(1), error: z.string(), nextAt: ms })

const alertState = z.object({
  /** The time at which the alert began to watch the sync. */
  watchedSince: ms,
  /** The number of all notices so far. */
  serial: z.int().min(0),
  lastSuccessAt: ms.nullable(),
  /** The last run that the alert has evaluated; null before the first one. */
  seen: z
    .object({
      endedAt: ms,
      run: z.string(),
      /** The highest run number so far. It grows even if a clock is set back. */
      number: z.int().nullable().default(null),
    })
    .nullable(),
  /** True if the sync was paused at the last evaluation. */
  paused: z.boolean().default(false),
  /** The time at which a paused sync resumed. The time without success counts from then. */
  resumedAt: ms.default(0),
  /** The conditions that are met now. */
  firing: z.partialRecord(z.enum(ALERT_CONDITIONS), firing),
  /** The notices that are not sent yet, the oldest first. */
  outbox: z.array(alertNotice),
  /** The number of notices that were dropped because too many waited. */
  dropped: z.int().min(0),
  trouble: trouble.nullable(),
  lastSent: z.object({ id: z.string(), at: ms }).nullable(),
})

export type Firing = z.output<typeof firing>
export type Trouble = z.output<typeof trouble>
export type FiringByCondition = { readonly [condition in AlertConditionName]?: Firing }
export type AlertState = Readonly<Omit<z.output<typeof alertState>, 'firing'>> & {
  readonly firing: FiringByCondition
}

/** Parses a state. Returns null for any other text, since other programs may write to the topic. */
export function parseAlertState(text: string): AlertState | null {
  try {
    const parsed = alertState.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

export function newAlertState(now: number): AlertState {
  return {
    watchedSince: now,
    serial: 0,
    lastSuccessAt: null,
    seen: null,
    paused: false,
    resumedAt: 0,
    firing: {},
    outbox: [],
    dropped: 0,
    trouble: null,
    lastSent: null,
  }
}

/**
 * Finds out when a limit of the API resets, by the headers of vendors. It serves answers that throttle and
 * have no readable Retry-After.
 */
import { parseHttpDate } from './retry-after.ts'

/** The longest wait. A limit of a day resets tomorrow, but the API is asked again before. */
const MAX_RESET_MS = 3_600_000

type Headers = { readonly [lowerCaseName: string]: string | undefined }

/** Headers with the reset of a limit, and with what is left of it. The first that can be read counts. */
const RESETS = [
  ['ratelimit-reset', 'ratelimit-remaining'],
  ['x-ratelimit-reset', 'x-ratelimit-remaining'],
  ['x-rate-limit-reset', 'x-rate-limit-remaining'],
] as const

/**
 * Returns the wait in ms from `nowMs`, at most an hour; null if no header has it. The order is
 * `Retry-After-Ms`, `RateLimit`, `RateLimit-Reset`, `X-RateLimit-Reset`, `X-Rate-Limit-Reset`. A limit that
 * is not used up did not throttle, so this skips it.
 */
export function limitResetMs(headers: Headers, nowMs: number): number | null {
  const waitMs = millisecondsOf(headers) ?? rateLimitMs(headers['ratelimit']) ?? resetMs(headers, nowMs)
  return waitMs === null ? null : Math.min(Math.ceil(waitMs), MAX_RESET_MS)
}

const NUMBER = /^\d{1,15}(?:\.\d{1,9})?$/

function numberIn(text: string | undefined): number | null {
  const value = text?.trim() ?? ''
  return NUMBER.test(value) ? Number(value) : null
}

function millisecondsOf(headers: Headers): number | null {
  return numberIn(headers['retry-after-ms'])
}

/**
 * Reads `RateLimit` of draft-ietf-httpapi-ratelimit-headers. Since version 8 it is a list of limits such as
 * `"burst";r=0;t=5, "daily";r=900;t=3600`, before that `limit=100, remaining=0, reset=5`. Several limits may
 * be used up. Then the longest wait counts.
 */
function rateLimitMs(text: string | undefined): number | null {
  if (text === undefined || text.length > MAX_CHARACTERS) return null
  if (OLD_FORM.test(text)) {
    const { remaining, reset } = /remaining=(?<remaining>\d+).*reset=(?<reset>\d+)/.exec(text)?.groups ?? {}
    return Number(remaining) === 0 ? Number(reset) * 1000 : null
  }
  const waits: number[] = []
  for (const item of text.split(',')) {
    const found = ITEM.exec(item.trim())
    if (found === null) return null
    const { left, wait } = { left: LEFT.exec(found[1] ?? '')?.[1], wait: WAIT.exec(found[1] ?? '')?.[1] }
    if (Number(left) === 0 && wait !== undefined) waits.push(Number(wait) * 1000)
  }
  return waits.length === 0 ? null : Math.max(...waits)
}

const LEFT = /; *r=(\d{1,15})(?:;|$)/
const WAIT = /; *t=(\d{1,15})(?:;|$)/
const MAX_CHARACTERS = 1_000
const OLD_FORM = /^limit=\d{1,15}, *remaining=\d{1,15}, *reset=\d{1,15}$/
const ITEM = /^(?:"[^"\\]*"|[A-Za-z*][\w:/.*-]*)((?:; *[a-z*][\w.*-]*=(?:\d{1,15}|"[^"\\]*"|:[\w+/=]*:))*)$/

/**
 * From the first number on, a value is an instant in seconds since 1970; from the second on, in milliseconds.
 */
const FIRST_INSTANT_S = 1_000_000_000
const FIRST_INSTANT_MS = 1_000_000_000_000

/**
 * Reads a reset in seconds from now, as in the drafts, or an instant in s or ms since 1970, as many APIs
 * have.
 */
function resetMs(headers: Headers, nowMs: number): number | null {
  for (const [reset, remaining] of RESETS) {
    const value = numberIn(headers[reset])
    if (value === null || (numberIn(headers[remaining]) ?? 0) > 0) continue
    if (value < FIRST_INSTANT_S) return value * 1000
    const instantMs = value < FIRST_INSTANT_MS ? value * 1000 : value
    const serverMs = parseHttpDate(headers['date']?.trim() ?? '') ?? nowMs
    return Math.max(0, instantMs - serverMs)
  }
  return null
}

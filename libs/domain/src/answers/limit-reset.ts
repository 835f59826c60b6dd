/**
 * When a limit of the API begins anew, by the headers with which vendors say so. It counts for an answer that
 * throttles and has no Retry-After that can be read.
 */
import { parseHttpDate } from './retry-after.ts'

/** A limit of a day begins anew tomorrow. Nobody waits that long without a look in between. */
const MAX_RESET_MS = 3_600_000

type Headers = { readonly [lowerCaseName: string]: string | undefined }

/** Headers that tell when a limit begins anew, and what is left of it; the first that can be read counts. */
const RESETS = [
  ['ratelimit-reset', 'ratelimit-remaining'],
  ['x-ratelimit-reset', 'x-ratelimit-remaining'],
  ['x-rate-limit-reset', 'x-rate-limit-remaining'],
] as const

/**
 * The wait in ms from `nowMs`, at most an hour; null if no header tells it. The order is `Retry-After-Ms`,
 * `RateLimit`, `RateLimit-Reset`, `X-RateLimit-Reset`, `X-Rate-Limit-Reset`. A limit of which something is
 * left is not the one that throttled, and is passed over.
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
 * `RateLimit` of draft-ietf-httpapi-ratelimit-headers: since version 8 a list of limits such as
 * `"burst";r=0;t=5, "daily";r=900;t=3600`, before that `limit=100, remaining=0, reset=5`. Several limits may
 * be used up; the longest wait is that of all.
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

/** From here on a number of seconds is an instant since 1970, and from there on one of milliseconds. */
const FIRST_INSTANT_S = 1_000_000_000
const FIRST_INSTANT_MS = 1_000_000_000_000

/** The drafts mean seconds from now. Many APIs give the instant, in seconds or milliseconds since 1970. */
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

/** What attempts are searched by, and whether one matches. */
import type { AttemptOutcome } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Attempt } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { statusRange, type StatusRange } from '@sluice/domain/answers/status-filter'
import type { AttemptsQuery } from '../port.ts'

export interface AttemptsFilter {
  /** Only attempts of this run: its ULID, and its number. */
  readonly run: { readonly id: string; readonly number: number } | null
  readonly key: string | null
  readonly trigger: Op | null
  readonly status: StatusRange | null
  readonly outcome: AttemptOutcome | null
  /** ms since 1970: from `since`, inclusive, to `until`, exclusive. */
  readonly since: number | null
  readonly until: number | null
  /** In lower case. */
  readonly search: string | null
  readonly searchesBodies: boolean
}

/** Throws `usage` for a status that is none. */
export function filterOf(query: AttemptsQuery, run: AttemptsFilter['run']): AttemptsFilter {
  const { key, trigger, status, outcome, since, until, search, searchesBodies } = query
  const range = status === undefined ? null : statusRange(status)
  if (status !== undefined && range === null)
    throw new SluiceError('usage', `\`${status}\` is no HTTP status: give one such as 422, or 4xx.`)
  return {
    run,
    key: key ?? null,
    trigger: trigger ?? null,
    status: range,
    outcome: outcome ?? null,
    since: since ?? null,
    until: until ?? null,
    search: search?.toLowerCase() ?? null,
    searchesBodies: searchesBodies === true,
  }
}

/** Whether it matches, as far as the attempt alone tells: not by its key, and not by a text in bodies. */
export function matches(
  filter: AttemptsFilter,
  attempt: Pick<Attempt, 'runId' | 'trigger' | 'outcome' | 'startedAt' | 'status' | 'error'>,
): boolean {
  const { run, trigger, status, outcome, since, until, search, searchesBodies } = filter
  if (run !== null && attempt.runId !== run.id) return false
  if (trigger !== null && attempt.trigger !== trigger) return false
  if (outcome !== null && attempt.outcome !== outcome) return false
  if (since !== null && attempt.startedAt < since) return false
  if (until !== null && attempt.startedAt >= until) return false
  if (status !== null && !isIn(status, attempt.status)) return false
  return search === null || searchesBodies || has(attempt.error, search)
}

/** Whether it matches by its key, and by a text in bodies. */
export function matchesRequest(
  { key, search, searchesBodies }: AttemptsFilter,
  of: {
    readonly attempt: Pick<Attempt, 'error' | 'responseBody'>
    readonly requestBody: string | null
    readonly keys: readonly string[]
  },
): boolean {
  const { attempt, requestBody, keys } = of
  if (key !== null && !keys.includes(key)) return false
  if (search === null || !searchesBodies) return true
  return has(attempt.error, search) || has(attempt.responseBody, search) || has(requestBody, search)
}

function isIn({ from, to }: StatusRange, status: number | null): boolean {
  return status !== null && status >= from && status <= to
}

function has(text: string | null, search: string): boolean {
  return text?.toLowerCase().includes(search) === true
}

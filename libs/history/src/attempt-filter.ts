/** Tells whether an attempt matches a filter. */
import type { Attempt } from '@sluice/contracts/records'
import type { AttemptFilter } from './port.ts'

/** True if the fields of the attempt match. Its keys and bodies are in its request: see `matchesRequest`. */
export function matches(
  filter: AttemptFilter,
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

/** True if it matches by its keys, and by a text in bodies. */
export function matchesRequest(
  { key, search, searchesBodies }: AttemptFilter,
  attempt: Pick<Attempt, 'error' | 'responseBody'> & {
    readonly requestBody: string | null
    readonly keys: readonly string[]
  },
): boolean {
  const { error, responseBody, requestBody, keys } = attempt
  if (key !== null && !keys.includes(key)) return false
  if (search === null || !searchesBodies) return true
  return has(error, search) || has(responseBody, search) || has(requestBody, search)
}

function isIn({ from, to }: NonNullable<AttemptFilter['status']>, status: number | null): boolean {
  return status !== null && status >= from && status <= to
}

function has(text: string | null, search: string): boolean {
  return text?.toLowerCase().includes(search) === true
}

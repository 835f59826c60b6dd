/** Why rows were not delivered, as `sluice failed --json` tells it. */
import type { FailedPage } from '@sluice/contracts/api'
import type { Finished } from '../e2e/project-folder.ts'

const MAX_TOLD = 5

/** Each reason once, with how many rows of the page have it. */
export function reasonsOf({ stdout, stderr }: Finished): readonly string[] {
  const rows = rowsOf(stdout)
  if (rows === null) return [`sluice failed tells nothing: ${stdout}${stderr}`]
  const reasons = Map.groupBy(
    rows,
    ({ op, outcome, error }) => `${op}, ${outcome}: ${error ?? 'no reason is given'}`,
  )
  return [...reasons].slice(0, MAX_TOLD).map(([reason, { length }]) => `${length} rows ${reason}`)
}

function rowsOf(stdout: string): FailedPage['rows'] | null {
  try {
    const printed: FailedPage | { readonly error: unknown } = JSON.parse(stdout)
    return 'rows' in printed ? printed.rows : null
  } catch {
    return null
  }
}

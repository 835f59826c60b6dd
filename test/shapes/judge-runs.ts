/**
 * Judges what runs say of themselves: how they ended, and whether their counts are those of the rows (R14).
 */
import type { RunView } from '@sluice/contracts/api'
import type { Finished } from '../e2e/project-folder.ts'
import { OPS, type Pass, type Selection } from './shape.ts'

const OUTCOMES = ['delivered', 'rejected', 'unknown', 'unsent'] as const
const EXIT_CODES = { success: 0, warning: 3 } as const
const MAX_TOLD = 5

export interface Wanted {
  readonly pass: Pass
  readonly countOf: (selection: Selection) => number
}

/** Finds mistakes in the runs of all syncs of a shape, as `sluice run` printed them. */
export function judgeRuns(ended: Finished, { pass, countOf }: Wanted): string[] {
  const isWarning = Object.values(pass.expect).some(({ outcome }) => outcome !== 'delivered')
  const status = isWarning ? 'warning' : 'success'
  const { exitCode, stdout, stderr } = ended
  const views = viewsOf(ended)
  if (views.length === 0) return [`exit code ${String(exitCode)}: ${stdout}${stderr}`]
  const unlike = views.flatMap(view => {
    if (exitCode === EXIT_CODES[status] && view.status === status && view.error === null) return []
    const how = `as ${view.status}, not ${status}, with exit code ${String(exitCode)}`
    return [`the run of ${view.sync} ended ${how}: ${view.error ?? 'no error'}`]
  })
  return [...unlike.slice(0, MAX_TOLD), ...judgeCounts(views, { pass, countOf })]
}

function judgeCounts(views: readonly RunView[], { pass, countOf }: Wanted): string[] {
  const problems: string[] = []
  const sum = (of: (view: RunView) => number | undefined): number =>
    views.reduce((total, view) => total + (of(view) ?? 0), 0)
  const compare = (what: string, of: (view: RunView) => number | undefined, expected: number): void => {
    const found = sum(of)
    if (found !== expected) problems.push(`${what}: ${found}, not ${expected}`)
  }
  compare('rows read', ({ rowsRead }) => rowsRead, countOf(pass.has))
  compare('rows invalid', ({ rowsInvalid }) => rowsInvalid, 0)
  for (const op of OPS) {
    const expected = pass.expect[op]
    const rows = expected === undefined ? 0 : countOf(expected.rows)
    compare(`${op}, detected`, ({ triggers }) => triggers[op]?.detected, rows)
    for (const outcome of OUTCOMES) {
      const wanted = outcome === expected?.outcome ? rows : 0
      compare(`${op}, ${outcome}`, ({ triggers }) => triggers[op]?.[outcome], wanted)
    }
  }
  return problems
}

/** The runs that `sluice run --json` tells of: one, or a list. Empty if it tells of none. */
function viewsOf({ stdout }: Finished): readonly RunView[] {
  try {
    const printed: RunView | readonly RunView[] | { readonly error: unknown } = JSON.parse(stdout)
    if ('triggers' in printed) return [printed]
    return 'length' in printed ? printed : []
  } catch {
    return []
  }
}

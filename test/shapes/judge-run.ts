/** Judges what a run says of itself: how it ended, and whether its counts are those of the rows (R14). */
import type { RunView } from '@sluice/contracts/api'
import { OPS, type Pass, type Selection } from './shape.ts'

const OUTCOMES = ['delivered', 'rejected', 'unknown', 'unsent'] as const
const EXIT_CODES = { success: 0, warning: 3 } as const

/** What is not as it has to be, over the runs of all syncs of a shape; `countOf` counts rows. */
export function judgeRun(
  exitCode: number | null,
  views: readonly RunView[],
  wanted: { readonly pass: Pass; readonly syncs: number; readonly countOf: (selection: Selection) => number },
): string[] {
  const { pass, syncs, countOf } = wanted
  const problems: string[] = []
  const compare = (what: string, found: unknown, expected: unknown): void => {
    if (found !== expected) problems.push(`${what}: ${String(found)}, not ${String(expected)}`)
  }
  const isWarning = Object.values(pass.expect).some(({ outcome }) => outcome !== 'delivered')
  const status = isWarning ? 'warning' : 'success'
  compare('runs', views.length, syncs)
  compare('exit code', exitCode, EXIT_CODES[status])
  for (const view of views)
    if (view.status !== status || view.error !== null)
      problems.push(
        `the run of ${view.sync} ended as ${view.status}, not ${status}: ${view.error ?? 'no error'}`,
      )
  const sum = (of: (view: RunView) => number | undefined): number =>
    views.reduce((total, view) => total + (of(view) ?? 0), 0)
  compare(
    'rows read',
    sum(({ rowsRead }) => rowsRead),
    countOf(pass.has),
  )
  compare(
    'rows invalid',
    sum(({ rowsInvalid }) => rowsInvalid),
    0,
  )
  for (const op of OPS) {
    const expected = pass.expect[op]
    const rows = expected === undefined ? 0 : countOf(expected.rows)
    compare(
      `${op}, detected`,
      sum(({ triggers }) => triggers[op]?.detected),
      rows,
    )
    for (const outcome of OUTCOMES)
      compare(
        `${op}, ${outcome}`,
        sum(({ triggers }) => triggers[op]?.[outcome]),
        outcome === expected?.outcome ? rows : 0,
      )
  }
  return problems
}

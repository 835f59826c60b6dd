/** The last runs of a sync as bars, with delivered and failed rows. */
import type { SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { count } from '../ui/format.ts'

const MAX_BARS = 20
const WIDTH = 100 / MAX_BARS
const HEIGHT = 30
/** The bar of a run without rows is still visible. */
const LEAST = 2

export function RunBars({ runs }: { readonly runs: NonNullable<SyncView['runs']> }): ReactElement | null {
  if (runs.length === 0) return null
  const most = Math.max(1, ...runs.map(({ delivered, failed }) => delivered + failed))
  // A run under way may still deliver all rows.
  const ended = runs.filter(({ endedAt }) => endedAt !== null)
  const failedRuns = ended.filter(({ failed, status }) => failed > 0 || status === 'failed').length
  const label =
    ended.length === 0
      ? 'No run has ended yet'
      : ended.length === 1
        ? `The last run delivered ${failedRuns === 0 ? 'all rows' : 'not all rows'}`
        : `The last ${count(ended.length)} runs: ${count(ended.length - failedRuns)} delivered all rows, ${count(failedRuns)} did not`
  return (
    <svg
      className="runs-bars"
      viewBox={`0 0 100 ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {/* A tick stands for a run that does not exist yet. */}
      {Array.from({ length: Math.max(0, MAX_BARS - runs.length) }, (_, index) => (
        <rect
          key={index}
          x={index * WIDTH}
          y={HEIGHT - LEAST}
          width={WIDTH * 0.8}
          height={LEAST}
          className="none"
        />
      ))}
      {runs.slice(0, MAX_BARS).map(({ id, delivered, failed, status }, index) => {
        const x = 100 - (index + 1) * WIDTH
        const good = LEAST + ((HEIGHT - LEAST) * delivered) / most
        const bad = ((HEIGHT - LEAST) * failed) / most
        const rest = status === 'failed' ? 'no' : 'none'
        const top = HEIGHT - good
        return (
          <g key={id}>
            <title>{`${status}: ${count(delivered)} delivered, ${count(failed)} failed`}</title>
            <rect x={x} y={top} width={WIDTH * 0.8} height={good} className={delivered > 0 ? 'ok' : rest} />
            {failed === 0 ? null : (
              <rect x={x} y={top - bad} width={WIDTH * 0.8} height={bad} className="no" />
            )}
          </g>
        )
      })}
    </svg>
  )
}

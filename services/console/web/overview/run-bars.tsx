/** The last runs of a sync, or the last minutes of a stream, as bars of delivered and failed rows. */
import type { StreamView, SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { clockTime, count, rows } from '../ui/format.ts'

const MAX_BARS = 20
const WIDTH = 100 / MAX_BARS
const HEIGHT = 30
/** The bar of a run without rows is still visible. */
const LEAST = 2

export function RunBars({ runs }: { readonly runs: NonNullable<SyncView['runs']> }): ReactElement | null {
  if (runs.length === 0) return null
  // A run under way may still deliver all rows.
  const ended = runs.filter(({ endedAt }) => endedAt !== null)
  const failedRuns = ended.filter(({ failed, status }) => failed > 0 || status === 'failed').length
  const label =
    ended.length === 0
      ? 'No run has ended yet'
      : ended.length === 1
        ? `The last run delivered ${failedRuns === 0 ? 'all rows' : 'not all rows'}`
        : `The last ${count(ended.length)} runs: ${count(ended.length - failedRuns)} delivered all rows, ${count(failedRuns)} did not`
  const bars = runs.map(({ id, status, delivered, failed }) => ({
    ...{ id, delivered, failed, isFailed: status === 'failed' },
    title: `${status}: ${count(delivered)} delivered, ${count(failed)} failed`,
  }))
  return <Bars label={label} bars={bars} />
}

/** The last minutes in which a stream had rows. */
export function MinuteBars({ minutes }: Pick<StreamView, 'minutes'>): ReactElement | null {
  if (minutes.length === 0) return null
  const sum = (of: 'delivered' | 'failed'): number => minutes.reduce((all, minute) => all + minute[of], 0)
  const bars = minutes.toReversed().map(({ at, delivered, failed }) => ({
    ...{ id: at, delivered, failed, isFailed: false },
    title: `${clockTime(at)}: ${count(delivered)} delivered, ${count(failed)} failed`,
  }))
  return (
    <Bars
      label={`The last hour of the stream: ${rows(sum('delivered'))} delivered, ${count(sum('failed'))} failed`}
      bars={bars}
    />
  )
}

interface Bar {
  readonly id: string
  readonly title: string
  readonly delivered: number
  readonly failed: number
  /** True if it failed, whatever it delivered. */
  readonly isFailed: boolean
}

/** `bars` are the newest first. */
function Bars({ label, bars }: { readonly label: string; readonly bars: readonly Bar[] }): ReactElement {
  const most = Math.max(1, ...bars.map(({ delivered, failed }) => delivered + failed))
  return (
    <svg
      className="runs-bars"
      viewBox={`0 0 100 ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {/* A tick stands for a bar that does not exist yet. */}
      {Array.from({ length: Math.max(0, MAX_BARS - bars.length) }, (_, index) => (
        <rect
          key={index}
          x={index * WIDTH}
          y={HEIGHT - LEAST}
          width={WIDTH * 0.8}
          height={LEAST}
          className="none"
        />
      ))}
      {bars.slice(0, MAX_BARS).map(({ id, title, delivered, failed, isFailed }, index) => {
        const x = 100 - (index + 1) * WIDTH
        const good = LEAST + ((HEIGHT - LEAST) * delivered) / most
        const bad = ((HEIGHT - LEAST) * failed) / most
        const rest = isFailed ? 'no' : 'none'
        const top = HEIGHT - good
        return (
          <g key={id}>
            <title>{title}</title>
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

/** A chart of rows per second, drawn while the run goes on. */
import type { RunView } from '@sluice/contracts/api'
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { hasEnded, type EventsState } from '../api/follow-run.ts'
import { count } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'
import { totalsOf } from './totals.ts'

interface Point {
  readonly atMs: number
  readonly done: number
}

/** Two minutes with two points a second. */
const MAX_POINTS = 240

export function Throughput({
  run,
  events,
}: {
  readonly run: RunView
  readonly events: EventsState
}): ReactElement | null {
  const points = usePoints(run)
  if (hasEnded(run) || events === 'over' || points.length < 3) return null
  const rates = points.slice(1).map((point, index) => rateBetween(points[index] ?? point, point))
  const most = Math.max(1, ...rates)
  const width = 100 / Math.max(1, rates.length - 1)
  const path = rates
    .map(
      (rate, index) =>
        `${index === 0 ? 'M' : 'L'}${(index * width).toFixed(2)} ${(38 - (36 * rate) / most).toFixed(2)}`,
    )
    .join('')
  const last = rates.at(-1) ?? 0
  return (
    <Section title="Throughput" aside={<strong>{count(Math.round(last))} rows/s</strong>}>
      <svg
        className="chart"
        viewBox="0 0 100 40"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${count(Math.round(last))} rows a second now, ${count(Math.round(most))} at most`}
      >
        <path d={`${path}L100 40L0 40Z`} className="chart-area" />
        <path d={path} className="chart-line" />
      </svg>
    </Section>
  )
}

const rateBetween = (from: Point, to: Point): number =>
  to.atMs > from.atMs ? (1000 * Math.max(0, to.done - from.done)) / (to.atMs - from.atMs) : 0

function usePoints(run: RunView): readonly Point[] {
  const [points, setPoints] = useState<readonly Point[]>([])
  const latest = useRef(run)
  latest.current = run
  useEffect(() => {
    const { delivered, failed } = totalsOf(latest.current)
    setPoints(known => [...known.slice(1 - MAX_POINTS), { atMs: Date.now(), done: delivered + failed }])
  }, [run])
  return points
}

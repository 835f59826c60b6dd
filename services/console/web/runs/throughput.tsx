/** A chart of the rows per second that a run delivers, and of those that fail, while it goes on. */
import type { RunView } from '@sluice/contracts/api'
import { useEffect, useState, type ReactElement } from 'react'
import { hasEnded } from '../api/follow-run.ts'
import { count } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'
import { speedInWords } from './now-in-words.ts'

type Speed = NonNullable<RunView['throughput']>

/** Delivery tells the speed at most twice a second, so these are the last two minutes at least. */
const MAX_POINTS = 240

export function Throughput({ run }: { readonly run: RunView }): ReactElement | null {
  const points = usePoints(run)
  const { throughput } = run
  if (hasEnded(run) || throughput === undefined || points.length < 2) return null
  const most = Math.max(
    1,
    ...points.map(({ deliveredPerSecond, failedPerSecond }) => Math.max(deliveredPerSecond, failedPerSecond)),
  )
  const width = 100 / Math.max(1, points.length - 1)
  const pathOf = (name: keyof Speed): string =>
    points
      .map((point, index) => {
        const y = 38 - (36 * point[name]) / most
        return `${index === 0 ? 'M' : 'L'}${(index * width).toFixed(2)} ${y.toFixed(2)}`
      })
      .join('')
  const delivered = pathOf('deliveredPerSecond')
  const { deliveredPerSecond: now, failedPerSecond: fail } = throughput
  return (
    <Section title="Throughput" aside={<strong>{speedInWords(run)}</strong>}>
      <svg
        className="chart"
        viewBox="0 0 100 40"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${count(Math.round(now))} rows a second now, ${count(Math.round(fail))} fail, ${count(Math.round(most))} at most`}
      >
        <path d={`${delivered}L100 40L0 40Z`} className="chart-area" />
        <path d={delivered} className="chart-line" />
        <path d={pathOf('failedPerSecond')} className="chart-line failed" />
      </svg>
      <p className="pad quiet">Rows delivered, and rows that failed, in the last 10 seconds.</p>
    </Section>
  )
}

function usePoints({ throughput }: RunView): readonly Speed[] {
  const [points, setPoints] = useState<readonly Speed[]>([])
  useEffect(() => {
    if (throughput !== undefined) setPoints(known => [...known.slice(1 - MAX_POINTS), throughput])
  }, [throughput])
  return points
}

/** A chart of the rows per second that a run delivers, and of those that fail, while it goes on. */
import type { RunView } from '@sluice/contracts/api'
import { useEffect, useMemo, useState, type ReactElement } from 'react'
import { hasEnded } from '../api/follow-run.ts'
import { Chart } from '../ui/chart.tsx'
import { count } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'

type Speed = NonNullable<RunView['throughput']>

/** Delivery tells the speed at most twice a second, so these are the last two minutes at least. */
const MAX_POINTS = 240

export function Throughput({ run }: { readonly run: RunView }): ReactElement | null {
  const points = usePoints(run)
  const times = useMemo(() => points.map(({ atMs }) => atMs), [points])
  const lines = useMemo(
    () =>
      [
        { name: 'delivered', tone: 'good', values: points.map(({ speed }) => speed.deliveredPerSecond) },
        { name: 'failed', tone: 'bad', values: points.map(({ speed }) => speed.failedPerSecond) },
      ] as const,
    [points],
  )
  const { throughput, stream } = run
  // The minutes of a stream say more than its seconds, most of which have no row.
  if (stream !== undefined || hasEnded(run) || throughput === undefined || points.length < 2) return null
  const { deliveredPerSecond: now, failedPerSecond: fail } = throughput
  return (
    <Section title="Throughput">
      <Chart
        label={`${perSecond(now)} rows a second now, ${perSecond(fail)} fail, over the last 10 seconds`}
        times={times}
        lines={lines}
        inWords={perSecond}
      />
    </Section>
  )
}

const perSecond = (rate: number): string => count(Math.round(rate))

interface Point {
  readonly atMs: number
  readonly speed: Speed
}

function usePoints({ throughput }: RunView): readonly Point[] {
  const [points, setPoints] = useState<readonly Point[]>([])
  useEffect(() => {
    if (throughput !== undefined)
      setPoints(known => [...known.slice(1 - MAX_POINTS), { atMs: Date.now(), speed: throughput }])
  }, [throughput])
  return points
}

/** Charts of a run's attempts over time, and of how long the answers took. */
import type { RunView } from '@sluice/contracts/api'
import type { FiguresBucket } from '@sluice/contracts/views/history-views'
import { useQuery } from '@tanstack/react-query'
import { useMemo, type ReactElement } from 'react'
import { hasEnded } from '../api/follow-run.ts'
import { figuresQuery } from '../api/queries.ts'
import { Chart } from '../ui/chart.tsx'
import { count, duration } from '../ui/format.ts'
import { Facts, Section } from '../ui/parts.tsx'
import { totalsOf } from './totals.ts'

export function RunFigures({ run }: { readonly run: RunView }): ReactElement | null {
  const isOver = hasEnded(run)
  const hasAny = totalsOf(run).attempts > 0
  const { data } = useQuery({ ...figuresQuery(run.id, isOver), enabled: hasAny })
  if (!hasAny || data === undefined || data.attempts === 0) return null
  const { p50, p90, p99 } = data.latencyMs
  const inWords = (ms: number | null): string => (ms === null ? 'not known' : duration(ms))
  return (
    <Section title="Requests over time">
      <Facts
        facts={[
          ['Latency p50', inWords(p50)],
          ['p90', inWords(p90)],
          ['p99', inWords(p99)],
          ...Object.entries(data.outcomes).map(([outcome, number]) => [outcome, count(number)] as const),
        ]}
      />
      {data.buckets.length < 2 ? null : (
        <>
          <Requests buckets={data.buckets} seconds={data.bucketSeconds} />
          <Latency buckets={data.buckets} />
        </>
      )}
    </Section>
  )
}

function Requests({
  buckets,
  seconds,
}: {
  readonly buckets: readonly FiguresBucket[]
  readonly seconds: number
}): ReactElement {
  const times = useMemo(() => timesOf(buckets), [buckets])
  const lines = useMemo(() => {
    const delivered = buckets.map(({ outcomes }) => outcomes.delivered ?? 0)
    return [
      { name: 'delivered', tone: 'good', values: delivered },
      {
        name: 'not delivered',
        tone: 'bad',
        values: buckets.map(({ attempts }, at) => attempts - (delivered[at] ?? 0)),
      },
    ] as const
  }, [buckets])
  const most = Math.max(1, ...buckets.map(({ attempts }) => attempts))
  const label = `Requests in each ${seconds === 1 ? 'second' : `${seconds} seconds`}, ${count(most)} at most`
  return <Chart label={label} times={times} lines={lines} kind="bars" inWords={count} />
}

/** The latency of the answers in each bucket: p50 and p90. */
function Latency({ buckets }: { readonly buckets: readonly FiguresBucket[] }): ReactElement | null {
  const times = useMemo(() => timesOf(buckets), [buckets])
  const lines = useMemo(
    () =>
      [
        { name: 'p50', tone: 'accent', values: buckets.map(({ latencyMs }) => latencyMs.p50) },
        { name: 'p90', tone: 'warn', values: buckets.map(({ latencyMs }) => latencyMs.p90) },
      ] as const,
    [buckets],
  )
  const most = Math.max(0, ...buckets.map(({ latencyMs }) => latencyMs.p90 ?? 0))
  if (most === 0) return null
  return <Chart label={`Latency, up to ${duration(most)}`} times={times} lines={lines} inWords={duration} />
}

const timesOf = (buckets: readonly FiguresBucket[]): readonly number[] =>
  buckets.map(({ at }) => Date.parse(at))

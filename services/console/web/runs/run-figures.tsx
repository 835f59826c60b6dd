/** Charts of a run's attempts over time, and of how long the answers took. */
import type { RunView } from '@sluice/contracts/api'
import type { FiguresBucket } from '@sluice/contracts/views/history-views'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { hasEnded } from '../api/follow-run.ts'
import { figuresQuery } from '../api/queries.ts'
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
          <Bars buckets={data.buckets} seconds={data.bucketSeconds} />
          <Latency buckets={data.buckets} />
        </>
      )}
    </Section>
  )
}

function Bars({
  buckets,
  seconds,
}: {
  readonly buckets: readonly FiguresBucket[]
  readonly seconds: number
}): ReactElement {
  const most = Math.max(1, ...buckets.map(({ attempts }) => attempts))
  const width = 100 / buckets.length
  const label = `Requests in each ${seconds === 1 ? 'second' : `${seconds} seconds`}, ${count(most)} at most`
  return (
    <figure className="chart-with-name">
      <figcaption className="quiet">{label}</figcaption>
      <svg className="chart" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={label}>
        {buckets.map(({ at, attempts, outcomes }, index) => {
          const good = (38 * (outcomes.delivered ?? 0)) / most
          const all = (38 * attempts) / most
          return (
            <g key={at}>
              <rect x={index * width} y={40 - all} width={width * 0.85} height={all} className="bar-bad" />
              <rect x={index * width} y={40 - good} width={width * 0.85} height={good} className="bar-good" />
            </g>
          )
        })}
      </svg>
    </figure>
  )
}

/** The latency of the answers in each bucket: p50 and p90. */
function Latency({ buckets }: { readonly buckets: readonly FiguresBucket[] }): ReactElement | null {
  const most = Math.max(0, ...buckets.map(({ latencyMs }) => latencyMs.p90 ?? 0))
  if (most === 0) return null
  const width = 100 / Math.max(1, buckets.length - 1)
  const pathOf = (share: 'p50' | 'p90'): string =>
    buckets
      .flatMap(({ latencyMs }, index) => {
        const ms = latencyMs[share]
        return ms === null ? [] : [`${(index * width).toFixed(2)} ${(38 - (36 * ms) / most).toFixed(2)}`]
      })
      .map((point, index) => `${index === 0 ? 'M' : 'L'}${point}`)
      .join('')
  const label = `Latency, up to ${duration(most)}: p50, and above it p90`
  return (
    <figure className="chart-with-name">
      <figcaption className="quiet">{label}</figcaption>
      <svg className="chart" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={label}>
        <path d={pathOf('p90')} className="chart-line rare" />
        <path d={pathOf('p50')} className="chart-line" />
      </svg>
    </figure>
  )
}

/** A stream as what it is: since when, how far behind its source, and the minutes of the last hour. */
import type { StreamView } from '@sluice/contracts/api'
import { useMemo, type ReactElement, type ReactNode } from 'react'
import { Chart } from '../ui/chart.tsx'
import { count, duration, rows } from '../ui/format.ts'
import { Facts, Section, Time } from '../ui/parts.tsx'

export function StreamSection({ stream }: { readonly stream: StreamView }): ReactElement {
  const { minutes } = stream
  const { times, lines } = useMemo(() => {
    const delivered = minutes.map(minute => minute.delivered)
    const failed = minutes.map(minute => minute.failed)
    return {
      times: minutes.map(({ at }) => Date.parse(at)),
      lines: [
        { name: 'delivered', tone: 'good', values: delivered },
        { name: 'failed', tone: 'bad', values: failed },
      ] as const,
    }
  }, [minutes])
  return (
    <Section title="Stream">
      <Facts facts={factsOf(stream)} />
      {minutes.length === 0 ? null : (
        <Chart
          label="Rows a minute in the last hour"
          times={times}
          lines={lines}
          kind="bars"
          inWords={rows}
        />
      )}
    </Section>
  )
}

function factsOf(stream: StreamView): readonly (readonly [string, ReactNode])[] {
  const { since, comparing, lagRecords, lagSeconds, committedAt, rowsPerSecond, unreadable } = stream
  const lag = lagSeconds === null ? 'nothing waits' : `${duration(lagSeconds * 1_000)} behind its source`
  const records = lagRecords === null ? '' : `, ${count(lagRecords)} records to read`
  return [
    ['Streams since', <Time key="since" at={since} />],
    ['Lag', `${lag}${records}`],
    ['Speed', `${rows(Math.round(rowsPerSecond))} a second`],
    ...(committedAt === null
      ? []
      : [['Newest change delivered', <Time key="committed" at={committedAt} />] as const]),
    ...(comparing === null ? [] : [['Compares the whole table', comparing] as const]),
    ...(unreadable === 0 ? [] : [['Records that cannot be read', count(unreadable)] as const]),
  ]
}

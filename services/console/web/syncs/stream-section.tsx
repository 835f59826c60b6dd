/** A stream as what it is: since when, how far behind its source, and its last minutes. */
import type { RunView } from '@sluice/contracts/api'
import { useMemo, type ReactElement, type ReactNode } from 'react'
import { Chart } from '../ui/chart.tsx'
import { count, rows } from '../ui/format.ts'
import { Facts, Section, Time } from '../ui/parts.tsx'
import { lagInWords, perMinute, unreadInWords } from './stream-in-words.ts'

type Stream = NonNullable<RunView['stream']>

const NO_MINUTES: NonNullable<Stream['minutes']> = []

export function StreamSection({
  stream,
  title = 'Stream',
}: {
  readonly stream: Stream
  readonly title?: string
}): ReactElement {
  const { minutes = NO_MINUTES } = stream
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
    <Section title={title}>
      <Facts facts={factsOf(stream)} />
      {minutes.length === 0 ? null : (
        <Chart label="Rows in each minute" times={times} lines={lines} kind="bars" inWords={rows} />
      )}
    </Section>
  )
}

function factsOf(stream: Stream): readonly (readonly [string, ReactNode])[] {
  const { since, comparing, committedAt, unreadable } = stream
  const unread = unreadInWords(stream)
  const speed = perMinute(stream)
  return [
    ['Streams since', <Time key="since" at={since} />],
    ['Lag', `${lagInWords(stream)}${unread === null ? '' : `, ${unread}`}`],
    ...(speed === null ? [] : [['Speed', speed] as const]),
    ...(committedAt === null
      ? []
      : [['Newest change delivered', <Time key="committed" at={committedAt} />] as const]),
    ...(comparing === null ? [] : [['Compares the whole table', comparing] as const]),
    ...(unreadable === 0 ? [] : [['Records that cannot be read', count(unreadable)] as const]),
  ]
}

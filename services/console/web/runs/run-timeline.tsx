/** The phases of a run on a time line. They overlap: a run renders and sends while it writes changes. */
import { PHASE_NAMES } from '@sluice/contracts/views/state-words'
import type { RunView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { duration, localTime, utcTime } from '../ui/format.ts'

interface Span {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly at: string
  readonly state: 'over' | 'under way' | 'failed' | 'waits'
}

/** A phase is at least this wide, in percent of the whole. */
const LEAST_WIDTH = 0.6

export function RunTimeline({
  run,
  now,
}: {
  readonly run: RunView
  readonly now: number
}): ReactElement | null {
  const spans = spansOf(run, now)
  if (spans.length === 0) return null
  const start = Math.min(...spans.map(({ from }) => from))
  const whole = Math.max(1, Math.max(...spans.map(({ to }) => to)) - start)
  return (
    <ol className="timeline" aria-label="Phases">
      {spans.map(({ name, from, to, at, state }) => {
        const width = Math.max(LEAST_WIDTH, (100 * (to - from)) / whole)
        const left = Math.min((100 * (from - start)) / whole, 100 - width)
        return (
          <li key={name} data-state={state}>
            <strong>{name}</strong>
            <span className="timeline-track" aria-hidden="true">
              <span style={{ left: `${left}%`, width: `${width}%` }} />
            </span>
            <small title={`began ${localTime(at)} · ${utcTime(at)}`}>
              {duration(Math.max(0, to - from))}
              {state === 'failed' ? ', failed' : state === 'over' ? '' : ' so far'}
            </small>
          </li>
        )
      })}
    </ol>
  )
}

function spansOf({ phases = [], waiting = [] }: RunView, now: number): readonly Span[] {
  const spans = phases.map(({ phase, startedAt: at, endedAt, failed }): Span => {
    const state = failed === true ? 'failed' : endedAt === null ? 'under way' : 'over'
    const to = endedAt === null ? now : Date.parse(endedAt)
    return { name: PHASE_NAMES[phase], from: Date.parse(at), to, at, state }
  })
  const approval = waiting.find(({ kind }) => kind === 'approval')
  if (approval === undefined) return spans
  const { since: at } = approval
  return [...spans, { name: 'Waiting for approval', from: Date.parse(at), to: now, at, state: 'waits' }]
}

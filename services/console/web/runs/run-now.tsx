/** The present work of a run: its progress, its speed, the time left, and its waits. */
import type { RunView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { hasEnded } from '../api/follow-run.ts'
import { count } from '../ui/format.ts'
import { Section } from '../ui/parts.tsx'
import { WaitLine } from '../ui/wait-line.tsx'
import { isStopped, leftInWords, nowInWords, speedInWords } from './now-in-words.ts'
import { totalsOf } from './totals.ts'

export function RunNow({ run }: { readonly run: RunView }): ReactElement | null {
  // The page says above, in full, what a held run waits for.
  if (hasEnded(run) || run.status === 'held') return null
  const { waiting = [] } = run
  return (
    <Section title="Now" aside={<Speed run={run} />}>
      <div className="pad run-now">
        <p role="status">{nowInWords(run)}</p>
        <RunProgress run={run} />
        {waiting.length === 0 ? null : (
          <ul className="run-waits">
            {waiting.map(wait => (
              <li key={`${wait.kind} ${wait.detail}`}>
                <WaitLine wait={wait} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </Section>
  )
}

function Speed({ run }: { readonly run: RunView }): ReactElement | null {
  // The section of the stream has its speed.
  const speed = run.stream === undefined ? speedInWords(run) : null
  return speed === null ? null : <strong>{speed}</strong>
}

/** A bar of the rows that are delivered and failed, with percent and the time that is left. */
export function RunProgress({ run }: { readonly run: RunView }): ReactElement | null {
  const { progress } = run
  if (progress === undefined) return null
  const { finished, of, percent, remainingSeconds } = progress
  const { delivered, failed } = totalsOf(run)
  const left =
    remainingSeconds === null || finished === of || isStopped(run)
      ? ''
      : ` · ${leftInWords(remainingSeconds)}`
  const some = failed === 0 ? '' : ` · ${count(failed)} failed`
  return (
    <div className="run-progress">
      <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="8" className="bar-back" />
        <rect width={(100 * delivered) / of} height="8" className="bar-good" />
        <rect x={(100 * delivered) / of} width={(100 * failed) / of} height="8" className="bar-bad" />
      </svg>
      <small>
        <strong>{Math.floor(percent)} %</strong> · {count(finished)} of {count(of)} rows{some}
        {left}
      </small>
    </div>
  )
}

/** Badges for states and outcomes. Each has a sign and a word, so that colour is never the only sign. */
import type { AttemptView, RunView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'held' | 'calm'

const RUN: { readonly [status in RunView['status']]: { readonly tone: Tone; readonly sign: string } } = {
  queued: { tone: 'calm', sign: '◌' },
  running: { tone: 'busy', sign: '◐' },
  held: { tone: 'held', sign: '‖' },
  success: { tone: 'good', sign: '✓' },
  warning: { tone: 'warn', sign: '!' },
  failed: { tone: 'bad', sign: '✕' },
  cancelled: { tone: 'calm', sign: '–' },
}

const OUTCOME: { readonly [outcome in AttemptView['outcome']]: Tone } = {
  delivered: 'good',
  exists: 'warn',
  missing: 'warn',
  throttled: 'warn',
  unsent: 'calm',
  unknown: 'warn',
  rejected: 'bad',
}

export function RunStatus({ status }: { readonly status: RunView['status'] }): ReactElement {
  const { tone, sign } = RUN[status]
  return <Badge tone={tone} sign={sign} text={status} />
}

export function Outcome({ outcome }: { readonly outcome: AttemptView['outcome'] }): ReactElement {
  return <Badge tone={OUTCOME[outcome]} text={outcome} />
}

interface BadgeProps {
  readonly tone: Tone
  readonly text: string
  readonly sign?: string
}

export function Badge({ tone, text, sign }: BadgeProps): ReactElement {
  return (
    <span className="badge" data-tone={tone}>
      {sign === undefined ? null : <span aria-hidden="true">{sign}</span>}
      {text}
    </span>
  )
}

export function HttpStatus({ status }: { readonly status: number | null }): ReactElement {
  if (status === null)
    return (
      <span className="http" data-tone="calm">
        no answer
      </span>
    )
  const tone: Tone = status < 300 ? 'good' : status < 400 || status === 429 ? 'warn' : 'bad'
  return (
    <span className="http" data-tone={tone}>
      {status}
    </span>
  )
}

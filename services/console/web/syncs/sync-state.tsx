/** The state of a sync as people need it: that it is suspended, or what its last run tells. */
import type { SyncView } from '@sluice/contracts/api'
import { SUSPENDED, syncInWords } from '@sluice/contracts/views/state-words'
import type { ReactElement } from 'react'
import { LastRunState } from '../runs/run-state.tsx'
import { Badge } from '../ui/status.tsx'

type Stated = Pick<SyncView, 'state' | 'lastRun' | 'trouble'>

/** The words that find a sync: the one of its badge, and `failing` if the overview counts it as failing. */
export function wordsOf(sync: Stated): string {
  const state = syncInWords(sync)
  return sync.trouble?.isFailing === true && state !== 'failing' ? `${state} failing` : state
}

export function SyncState({ sync }: { readonly sync: Stated }): ReactElement {
  const text = syncInWords(sync)
  return text === SUSPENDED ? <Badge tone="bad" sign="✕" text={text} /> : <LastRunState sync={sync} />
}

/** True if the state is that of the last run, whose page says more. */
export const isOfRun = (sync: Stated): boolean =>
  sync.lastRun !== null && sync.trouble?.run !== null && syncInWords(sync) !== SUSPENDED

type StreamingSync = SyncView & { readonly stream: NonNullable<SyncView['stream']> }

/** The stream of a sync, with its rows that wait for another try. */
export const streamOf = ({ stream, rows }: Pick<StreamingSync, 'stream' | 'rows'>) => ({
  ...stream,
  waiting: rows.failed + rows.heldBack,
})

/** True for a stream that is at work. */
export const isStreaming = (sync: SyncView): sync is StreamingSync =>
  sync.stream !== undefined && sync.lastRun?.status === 'running'

/** The state of a run as people need it: a run of which nothing arrives is failing, whatever its status. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import { lastRunInWords, runInWords } from '@sluice/contracts/views/state-words'
import type { ReactElement } from 'react'
import { Badge, RunStatus } from '../ui/status.tsx'

export function RunState({
  run,
}: {
  readonly run: Pick<RunView, 'status' | 'failing' | 'stream'>
}): ReactElement {
  return <StateBadge word={runInWords(run)} />
}

/** What the last run tells of a sync, which may be failing before its newest run shows anything. */
export function LastRunState({
  sync,
}: {
  readonly sync: Pick<SyncView, 'lastRun' | 'trouble'>
}): ReactElement {
  return <StateBadge word={lastRunInWords(sync)} />
}

function StateBadge({ word }: { readonly word: ReturnType<typeof lastRunInWords> }): ReactElement {
  if (word === 'never ran') return <span className="quiet">{word}</span>
  if (word === 'failing' || word === 'refused') return <Badge tone="bad" sign="✕" text={word} />
  if (word === 'streaming') return <Badge tone="busy" sign="≈" text={word} />
  return <RunStatus status={word} />
}

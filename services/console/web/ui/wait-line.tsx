/** One wait of a sync or a run: the reason, for how long, and when it ends. */
import type { SyncView } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { waitedInWords, waitInWords } from './format.ts'
import { useNow } from './parts.tsx'
import { ServerMessage } from './server-message.tsx'

type Wait = SyncView['waiting'][number]

/** As `queueWaits` writes it. */
const BEHIND_RUN = /^run (\S+) of this sync is under way$/
const UPDATED_MS = 5_000

export function WaitLine({ wait }: { readonly wait: Wait }): ReactElement {
  const { kind, detail } = wait
  const now = useNow(UPDATED_MS)
  const text = waitInWords({ kind, detail })
  const [, before] = BEHIND_RUN.exec(detail) ?? []
  return (
    <>
      {before === undefined ? (
        <ServerMessage text={/[.!?…]$/.test(text) ? text : `${text}.`} />
      ) : (
        <>
          Waits for{' '}
          <Link to="/runs/$id" params={{ id: before }}>
            the run before it
          </Link>
          .
        </>
      )}{' '}
      <small>{waitedInWords(wait, now)}</small>
    </>
  )
}

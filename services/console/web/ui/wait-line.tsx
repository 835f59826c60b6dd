/** One wait of a sync or a run: the reason, since when, and when it ends. */
import type { SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { waitInWords } from './format.ts'
import { Time } from './parts.tsx'
import { ServerMessage } from './server-message.tsx'

type Wait = SyncView['waiting'][number]

export function WaitLine({ wait: { kind, detail, since, until } }: { readonly wait: Wait }): ReactElement {
  const text = waitInWords({ kind, detail })
  return (
    <>
      <ServerMessage text={/[.!?…]$/.test(text) ? text : `${text}.`} />{' '}
      <small>
        It began <Time at={since} />
        {until === null ? null : (
          <>
            , and goes on <Time at={until} />
          </>
        )}
        .
      </small>
    </>
  )
}

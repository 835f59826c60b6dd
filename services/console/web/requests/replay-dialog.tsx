/** Sends recorded requests again, after it has shown which. */
import type { AttemptView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { useFollowRun } from '../runs/follow-run.ts'
import { Dialog } from '../ui/dialog.tsx'
import { count, rows } from '../ui/format.ts'
import { Loading, Trouble } from '../ui/parts.tsx'
import { toastError } from '../ui/toast.tsx'

export interface ReplayChoice {
  readonly keys?: readonly string[]
  readonly run?: string
  readonly outcome?: AttemptView['outcome']
}

interface ReplayProps {
  readonly sync: string
  readonly choice: ReplayChoice
  readonly onClose: () => void
}

export function ReplayDialog({ sync, choice, onClose }: ReplayProps): ReactElement {
  const follow = useFollowRun()
  const [busy, setBusy] = useState(false)
  const path = `/syncs/${encodeURIComponent(sync)}/replay`
  const { data, error } = useQuery({
    queryKey: ['replay', sync, choice],
    queryFn: ({ signal }) =>
      call(path, { method: 'POST', body: { ...choice, dryRun: true }, answer: 'replayView', signal }),
    retry: false,
    staleTime: 0,
  })
  const replay = async (): Promise<void> => {
    setBusy(true)
    try {
      const run = await call(path, { method: 'POST', body: choice, answer: 'runView' })
      onClose()
      await follow(Promise.resolve(run))
    } catch (failure) {
      toastError(failure)
      setBusy(false)
    }
  }
  return (
    <Dialog title="Send recorded requests again?" onClose={onClose} wide>
      {error === null ? null : <Trouble error={error} />}
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : null
      ) : (
        <>
          <p>
            <strong>{count(data.requests)}</strong> {data.requests === 1 ? 'request' : 'requests'} of{' '}
            {rows(data.rows)} would go out as they were recorded, even where the row differs now. The next run
            makes the destination equal to the model again.
          </p>
          <ul className="plain-list">
            {data.first.map(({ requestId, method, path: of, keys, trigger }) => (
              <li key={requestId}>
                <span className="path">
                  {method} {of}
                </span>{' '}
                <small>
                  {trigger}, {keys.length === 1 ? keys[0] : rows(keys.length)}
                </small>
              </li>
            ))}
          </ul>
          {data.notices.map(notice => (
            <p key={notice} className="quiet">
              {notice}
            </p>
          ))}
        </>
      )}
      <footer className="dialog-actions">
        <button type="button" onClick={onClose}>
          Leave it
        </button>
        <button
          type="button"
          className="primary"
          disabled={busy || data === undefined || data.requests === 0}
          onClick={() => void replay()}
        >
          Send them again
        </button>
      </footer>
    </Dialog>
  )
}

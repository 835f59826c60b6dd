/** The dialog that shows recorded requests and sends them again. */
import type { AttemptView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { ask } from '../api/commands.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { useGoToRun } from '../runs/go-to-run.ts'
import { Confirm } from '../ui/dialog.tsx'
import { count, rows } from '../ui/format.ts'
import { Loading, Trouble } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'

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
  const follow = useGoToRun()
  const { data, error } = useQuery({
    queryKey: ['replay', sync, choice],
    queryFn: ({ signal }) => call('dryRunReplay', { name: sync, ...choice, dryRun: true }, { signal }),
    ...ONCE_WHEN_THERE_IS_ROOM,
    staleTime: 0,
  })
  return (
    <Confirm
      title="Send recorded requests again?"
      action="Send again"
      isReady={data !== undefined && data.requests > 0}
      wide
      onConfirm={() => follow(ask('replay', { name: sync, ...choice }))}
      onClose={onClose}
    >
      {error === null ? null : <Trouble error={error} />}
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : null
      ) : (
        <>
          <p>
            <strong>{count(data.requests)}</strong> {data.requests === 1 ? 'request' : 'requests'} of{' '}
            {rows(data.rows)} would go out as {data.requests === 1 ? 'it was' : 'they were'} recorded, even
            where a row differs now. The next run makes the destination equal to the model again.
          </p>
          <ul className="plain-list">
            {data.first.map(({ requestId, method, path: urlPath, keys, trigger }) => (
              <li key={requestId}>
                <span className="path">
                  {method} {urlPath}
                </span>{' '}
                <small>
                  {trigger}, {keys.length === 1 ? keys[0] : rows(keys.length)}
                </small>
              </li>
            ))}
          </ul>
          {data.notices.map(notice => (
            <p key={notice} className="quiet">
              <ServerMessage text={notice} />
            </p>
          ))}
        </>
      )}
    </Confirm>
  )
}

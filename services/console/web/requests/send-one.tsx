/** Sends one real request as a test, with the model's present row. It changes no state. */
import type { AttemptView } from '@sluice/contracts/api'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { useMay } from '../api/session.ts'
import { Confirm } from '../ui/dialog.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { BodyView } from './body-view.tsx'

interface SendOneProps {
  readonly sync: string
  readonly rowKey: string
  readonly trigger: AttemptView['trigger']
}

export function SendOne({ sync, rowKey, trigger }: SendOneProps): ReactElement {
  const may = useMay('run')
  const [asks, setAsks] = useState(false)
  const [answer, setAnswer] = useState<AttemptView | null>(null)
  const send = async (): Promise<void> => {
    setAnswer(await call('sendTest', { name: sync, key: rowKey, trigger }))
  }
  return (
    <div className="send-one">
      <button type="button" className="small" disabled={!may} onClick={() => setAsks(true)}>
        Send this one…
      </button>
      {answer === null ? null : (
        <div role="status">
          <p>
            <HttpStatus status={answer.status} /> <Outcome outcome={answer.outcome} /> {answer.error}
          </p>
          <BodyView body={answer.responseBody} wholeBytes={answer.responseBodyBytes} />
        </div>
      )}
      {asks ? (
        <Confirm
          title={`Send row ${rowKey} for real?`}
          action="Send it"
          onConfirm={send}
          onClose={() => setAsks(false)}
        >
          <p>
            The API gets this request now, as the sync is saved. It is recorded as a test: no run counts it,
            and what is believed of the row stays.
          </p>
        </Confirm>
      ) : null}
    </div>
  )
}

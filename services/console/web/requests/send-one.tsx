/**
 * Sends one real request as a test, with the model's present row. It changes no state. The sync may be a
 * draft that nobody has saved yet.
 */
import type { AttemptView } from '@sluice/contracts/api'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { useMay, whyOff } from '../api/session.ts'
import { Confirm } from '../ui/dialog.tsx'
import { HttpStatus, Outcome } from '../ui/status.tsx'
import { BodyView } from './body-view.tsx'

interface SendOneProps {
  readonly sync: string
  readonly rowKey: string
  readonly trigger: AttemptView['trigger']
  /** The draft of the sync and of what it uses. Absent for the saved sync. */
  readonly documents?: readonly { readonly file: string; readonly yaml: string }[]
}

export function SendOne({ sync, rowKey, trigger, documents }: SendOneProps): ReactElement {
  const mayRun = useMay('run')
  const mayEdit = useMay('edit')
  const lacked = !mayRun ? 'run' : mayEdit || documents === undefined ? null : 'edit'
  const [asks, setAsks] = useState(false)
  const [answer, setAnswer] = useState<AttemptView | null>(null)
  const send = async (): Promise<void> => {
    const row = { key: rowKey, trigger }
    setAnswer(
      documents === undefined
        ? await call('sendTest', { name: sync, ...row })
        : await call('sendTestOfDocuments', { sync, ...row, documents: [...documents] }),
    )
  }
  return (
    <div className="send-one">
      <button
        type="button"
        className="small"
        disabled={lacked !== null}
        title={lacked === null ? undefined : whyOff(lacked)}
        onClick={() => setAsks(true)}
      >
        Send a test request…
      </button>
      {answer === null ? null : (
        <div role="status">
          <p>
            Row {rowKey}: <HttpStatus status={answer.status} /> <Outcome outcome={answer.outcome} />{' '}
            {answer.error}
          </p>
          <BodyView body={answer.responseBody} wholeBytes={answer.responseBodyBytes} asItIs="As received" />
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
            The API gets this request now{documents === undefined ? '' : ', with your unsaved changes'}. It is
            recorded as a test: no run counts it, and it does not change what Sluice knows of the row.
          </p>
        </Confirm>
      ) : null}
    </div>
  )
}

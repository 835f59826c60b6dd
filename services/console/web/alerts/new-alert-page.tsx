/** The page for a new alert, written as YAML. It starts with a complete example. */
import { useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { Fragment, useState, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { useMay, whyOff } from '../api/session.ts'
import { nameIn } from '../editor/draft.ts'
import { keepText, keptText } from '../ui/kept-text.ts'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { Page, Section, Trouble } from '../ui/parts.tsx'
import { marksOf } from '../ui/places.ts'
import { toast } from '../ui/toast.tsx'
import { ALERT_EXAMPLE } from './alert-example.ts'

/** The name under which the browser keeps the unsaved text. */
const PLACE = 'new-alert'

const WHEN = [
  ...['run-failed', 'rows-failed: { share: 0.01 }', 'held', 'slow: { longerThan: 1h }'],
  ...['silent: { noSuccessFor: 1d }', 'certificate-expiring', 'auth-failing'],
]

export function NewAlertPage(): ReactElement {
  const may = useMay('edit')
  const client = useQueryClient()
  const navigate = useNavigate()
  const [text, setText] = useState(() => keptText(PLACE)?.text ?? ALERT_EXAMPLE)
  const change = (changed: string): void => {
    setText(changed)
    keepText(PLACE, changed === ALERT_EXAMPLE ? null : { text: changed, version: null })
  }
  const [error, setError] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const save = async (): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      const name = nameIn(text)
      if (name === '') throw new Error('Give the alert a name: `name: on-call`.')
      await call('putResource', { kind: 'alert', name, document: { yaml: text, version: 0 } })
      keepText(PLACE, null)
      await client.invalidateQueries()
      toast('done', `The alert ${name} is saved. Send a test notice to see it arrive.`)
      await navigate({ to: '/alerts' })
    } catch (failure) {
      setError(failure)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Page
      title="New alert"
      lead="It watches syncs, and notifies a webhook, Slack or people by e-mail."
      actions={
        <>
          <Link to="/alerts" className="button">
            Leave
          </Link>
          <button
            type="button"
            className="primary"
            disabled={!may || busy}
            title={may ? undefined : whyOff('edit')}
            onClick={() => void save()}
          >
            {busy ? 'Saving…' : 'Save the alert'}
          </button>
        </>
      }
    >
      <Section title="Definition">
        <div className="pad">
          <LazyCodeEditor
            label="The alert as YAML"
            language="yaml"
            value={text}
            marks={error instanceof ApiError ? marksOf(error.details) : []}
            onChange={change}
            onSave={() => void save()}
          />
          {error === null ? null : <Trouble error={error} onRetry={() => void save()} />}
        </div>
      </Section>
      <Section title="What it may say">
        <ul className="plain-list">
          <li>
            <code>syncs</code>: <code>all</code>, or a list of names.
          </li>
          <li>
            <code>when</code>: any of{' '}
            {WHEN.map((condition, index) => (
              <Fragment key={condition}>
                {index === 0 ? '' : ', '}
                <code>{condition}</code>
              </Fragment>
            ))}
            .
          </li>
          <li>
            <code>to</code>: one of <code>webhook</code>, <code>slack</code> and <code>email</code>. Keep its
            address or secret in the vault, and name it as <code>{'${secret:name}'}</code>.
          </li>
        </ul>
      </Section>
    </Page>
  )
}

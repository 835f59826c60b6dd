/** The password of a source. The vault keeps it as soon as it is typed, and the source names its secret. */
import { messageOf } from '@sluice/contracts/errors'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactElement, type ReactNode } from 'react'
import { setSecret } from '../../api/commands.ts'
import { secretsQuery } from '../../api/queries.ts'
import { useMay } from '../../api/session.ts'
import { freeName, textAt, withValue } from '../draft.ts'
import { Labelled, problemAt } from '../fields.tsx'
import type { Editing } from '../use-editing.ts'

const PATH = ['password']
const SECRET = /^\$\{secret:([^}]+)\}$/

/**
 * Stores a password that was typed and not stored yet. Returns the source's text, which then names its
 * secret.
 */
export type KeepPassword = () => Promise<string>

interface PasswordProps {
  readonly editing: Editing
  /** The name of a new secret. */
  readonly suggested: string
  /** The grant of the server. Empty while the server is unknown. */
  readonly grant: string
  /** Filled with a function that stores what is typed. It rejects if that fails. */
  readonly keep: { current: KeepPassword | null }
}

export function PasswordField(props: PasswordProps): ReactElement {
  const { editing, grant } = props
  const { text, change, readOnly } = editing
  const mayKeep = useMay('secrets')
  const [chooses, setChooses] = useState(false)
  const { typed, type, keepTyped, secret, names, failure } = useKeeping(props)
  const problem = failure ?? (typed === '' ? problemAt(editing, PATH) : undefined)
  const hint: ReactNode =
    typed !== '' && grant === '' ? (
      'Type the host first: the vault keeps a password for its server alone.'
    ) : secret !== undefined ? (
      <>
        It stands in the vault as the secret <strong>{secret}</strong>. Type another one to replace it.
      </>
    ) : mayKeep ? (
      'The vault keeps it for this server alone, and no page shows it again. A server that asks for none needs none.'
    ) : (
      'Your role may not set secrets. Once somebody else has, you can choose one here.'
    )
  return (
    <Labelled label="Password" problem={problem} hint={hint}>
      {({ id, describedBy }) => (
        <div className="with-button">
          {chooses ? (
            <select
              id={id}
              value={secret ?? ''}
              disabled={readOnly}
              aria-describedby={describedBy}
              onChange={({ target }) => {
                change(withValue(text, PATH, target.value === '' ? undefined : `\${secret:${target.value}}`))
                setChooses(false)
              }}
            >
              <option value="">No password</option>
              {[...new Set([...(secret === undefined ? [] : [secret]), ...names])].map(name => (
                <option key={name}>{name}</option>
              ))}
            </select>
          ) : (
            <input
              id={id}
              type="password"
              autoComplete="new-password"
              value={typed}
              placeholder={secret === undefined ? '' : '••••••••'}
              aria-invalid={problem !== undefined}
              aria-describedby={describedBy}
              readOnly={readOnly || !mayKeep}
              onChange={({ target }) => type(target.value)}
              onBlur={() => void keepTyped().catch(() => undefined)}
              onKeyDown={({ key }) => {
                if (key === 'Enter') void keepTyped().catch(() => undefined)
              }}
            />
          )}
          <button type="button" disabled={readOnly} onClick={() => setChooses(!chooses)}>
            {chooses ? 'Type one' : 'Use another secret'}
          </button>
        </div>
      )}
    </Labelled>
  )
}

interface Keeping {
  readonly typed: string
  readonly type: (text: string) => void
  readonly keepTyped: KeepPassword
  /** The name of the secret that the source names. */
  readonly secret: string | undefined
  /** The names of all secrets. */
  readonly names: readonly string[]
  /** Why the vault has not kept what is typed. Null if nothing failed. */
  readonly failure: string | null
}

function useKeeping({ editing, suggested, grant, keep }: PasswordProps): Keeping {
  const { data } = useQuery(secretsQuery)
  const [typed, type] = useState('')
  const [failure, setFailure] = useState<string | null>(null)
  const running = useRef<Promise<string> | null>(null)
  // The user may type on while the vault stores the password.
  const latest = useRef(editing)
  latest.current = editing
  const secret = SECRET.exec(textAt(editing.text, PATH))?.[1]
  const secrets = data?.secrets.filter(({ kind }) => kind === 'secret') ?? []
  const names = secrets.map(({ name }) => name)
  const store = async (): Promise<string> => {
    const name = secret ?? freeName(suggested, names)
    const present = secrets.find(each => each.name === name)?.for ?? null
    const grants = [...(present === null ? [] : present.split(/,\s*/)), grant]
    await setSecret({ name, value: typed, for: [...new Set(grants)].join(', ') })
    type('')
    const changed = withValue(latest.current.text, PATH, `\${secret:${name}}`)
    latest.current.change(changed)
    return changed
  }
  const keepTyped: KeepPassword = async () => {
    if (typed === '' || grant === '') return latest.current.text
    setFailure(null)
    running.current ??= store().finally(() => (running.current = null))
    try {
      return await running.current
    } catch (error) {
      setFailure(messageOf(error))
      throw error
    }
  }
  useEffect(() => {
    keep.current = keepTyped
    return () => void (keep.current = null)
  })
  return { typed, type, keepTyped, secret, names, failure }
}

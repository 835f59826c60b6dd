/** A field for a value that only the vault may hold. The vault keeps it as soon as it is typed. */
import { messageOf } from '@sluice/contracts/errors'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactElement, type ReactNode } from 'react'
import { setSecret } from '../api/commands.ts'
import { secretsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { freeName } from './draft.ts'
import { Labelled } from './fields.tsx'
import { useLateChange, type Editing } from './use-editing.ts'

/** Stores a value that was typed and not stored yet. Returns the text, which then names its secret. */
export type KeepSecret = () => Promise<string>

/** A typed value, taken apart: the secret itself, and the grant of the place that it goes to. */
export interface TypedSecret {
  readonly value: string
  /** Empty while the place is unknown. */
  readonly grant: string
}

/** The name of the secret that a text is, without anything beside it. */
export const secretAs = (text: string): string | undefined => /^\$\{secret:([^}]+)\}$/.exec(text)?.[1]

export interface KeptSecretProps {
  readonly editing: Editing
  readonly label: string
  readonly problem: string | undefined
  /** What the field is for, while there is no secret. */
  readonly hint: ReactNode
  /** Shown if the place that the secret goes to is not known. */
  readonly withoutPlace: string
  /** The name of a new secret. */
  readonly suggested: string
  /** The name of the secret that the text has. */
  readonly secret: string | undefined
  /** Takes apart what was typed. */
  readonly read: (typed: string) => TypedSecret
  /** The text with another secret, or with none. `typed` is the text in the field, if there is any. */
  readonly write: (text: string, secret: string | undefined, typed: string) => string
  /** Filled with a function that stores what is typed. It rejects if that fails. */
  readonly keep?: { current: KeepSecret | null }
}

export function KeptSecretField(props: KeptSecretProps): ReactElement {
  const { editing, label, secret, read, write, withoutPlace } = props
  const { text, change, readOnly } = editing
  const mayKeep = useMay('secrets')
  const [chooses, setChooses] = useState(false)
  const { typed, type, keepTyped, names, failure } = useKeeping(props)
  const problem = failure ?? (typed === '' ? props.problem : undefined)
  const hint: ReactNode =
    typed !== '' && read(typed).grant === '' ? (
      withoutPlace
    ) : secret !== undefined ? (
      <>
        It stands in the vault as the secret <strong>{secret}</strong>. Type another one to replace it.
      </>
    ) : mayKeep ? (
      props.hint
    ) : (
      'Your role may not set secrets. Once somebody else has, you can choose one here.'
    )
  return (
    <Labelled label={label} problem={problem} hint={hint}>
      {({ id, describedBy }) => (
        <div className="with-button">
          {chooses ? (
            <select
              id={id}
              value={secret ?? ''}
              disabled={readOnly}
              aria-describedby={describedBy}
              onChange={({ target }) => {
                change(write(text, target.value === '' ? undefined : target.value, typed))
                setChooses(false)
              }}
            >
              <option value="">None</option>
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
  readonly keepTyped: KeepSecret
  /** The names of all secrets. */
  readonly names: readonly string[]
  /** Why the vault has not kept what is typed. Null if nothing failed. */
  readonly failure: string | null
}

function useKeeping({ editing, suggested, secret, read, write, keep }: KeptSecretProps): Keeping {
  const { data } = useQuery(secretsQuery)
  const [typed, type] = useState('')
  const [failure, setFailure] = useState<string | null>(null)
  const running = useRef<Promise<string> | null>(null)
  const changeLate = useLateChange(editing)
  const secrets = data?.secrets.filter(({ kind }) => kind === 'secret') ?? []
  const names = secrets.map(({ name }) => name)
  const store = async ({ value, grant }: TypedSecret): Promise<string> => {
    const name = secret ?? freeName(suggested, names)
    const present = secrets.find(each => each.name === name)?.for ?? null
    const grants = [...(present === null ? [] : present.split(/,\s*/)), grant]
    await setSecret({ name, value, for: [...new Set(grants)].join(', ') })
    type('')
    return changeLate(text => write(text, name, typed))
  }
  const keepTyped: KeepSecret = async () => {
    const apart = read(typed)
    if (typed === '' || apart.grant === '') return editing.text
    setFailure(null)
    running.current ??= store(apart).finally(() => (running.current = null))
    try {
      return await running.current
    } catch (error) {
      setFailure(messageOf(error))
      throw error
    }
  }
  useEffect(() => {
    if (keep === undefined) return undefined
    keep.current = keepTyped
    return () => void (keep.current = null)
  })
  return { typed, type, keepTyped, names, failure }
}

/** Fields that read from a draft's text and write into it. */
import { useId, useRef, useState, type ReactElement, type ReactNode } from 'react'
import { EditSecret } from '../secrets/edit-secret.tsx'
import { nameFrom, textAt, valueAt, withValue, type Path } from './draft.ts'
import { docsOf } from './field-docs.ts'
import { mistakeInWords } from './mistakes.ts'
import { fieldsOf } from '../ui/fields-of.ts'
import { ServerMessage } from '../ui/server-message.tsx'
import type { Editing } from './use-editing.ts'

/** The rule for names, for people. */
export const NAME_HINT = 'Lower case letters, digits and -'

export interface FieldProps {
  readonly editing: Editing
  readonly path: Path
  readonly label: string
  readonly hint?: ReactNode
}

/** The mistake in a field of this text, in words. */
export function problemAt({ problems }: Editing, path: Path): string | undefined {
  const field = path.join('.')
  const found = problems.find(problem => problem.field === field)
  return found === undefined ? undefined : mistakeInWords(found)
}

/** The link to the section of the reference about a field. */
export function DocsLink({
  docs,
  of,
}: {
  readonly docs: string | undefined
  readonly of: string
}): ReactElement | null {
  if (docs === undefined) return null
  return (
    <a className="docs-link" href={docs} target="_blank" rel="noreferrer">
      Docs<span className="hidden"> of {of}</span>
    </a>
  )
}

/** A field with its label, its mistake and its hint. */
export function Labelled(props: {
  readonly label: string
  readonly hint?: ReactNode
  readonly problem?: string | undefined
  /** The address of the section of the reference about the field. */
  readonly docs?: string | undefined
  readonly children: (ids: { readonly id: string; readonly describedBy: string | undefined }) => ReactNode
}): ReactElement {
  const { label, hint, problem, docs, children } = props
  const id = useId()
  const has = hint !== undefined || problem !== undefined
  return (
    <div className="field">
      <div className="label-line">
        <label htmlFor={id}>{label}</label>
        <DocsLink docs={docs} of={label} />
      </div>
      {children({ id, describedBy: has ? `${id}-more` : undefined })}
      {has ? (
        <div id={`${id}-more`} className="field-more">
          {problem === undefined ? null : (
            <p className="field-error">
              <ServerMessage text={problem} />
            </p>
          )}
          {hint === undefined ? null : <small>{hint}</small>}
        </div>
      ) : null}
    </div>
  )
}

/**
 * Writes a field's value. If the user empties the field and types again, it gets back its place in the text,
 * with the comment beside it.
 */
export function useWriting({ text, change }: Editing, path: Path): (value: unknown) => void {
  const emptied = useRef<{ readonly before: string; readonly after: string } | null>(null)
  return value => {
    const before = emptied.current?.after === text ? emptied.current.before : text
    const after = withValue(before, path, value)
    emptied.current = value === undefined ? { before, after } : null
    change(after)
  }
}

interface TextFieldProps extends FieldProps {
  readonly placeholder?: string
  readonly isNumber?: boolean
  /** Writes a list of names, separated by commas, if there are several. */
  readonly isList?: boolean
  /** True if an emptied field is written as empty text, instead of being left out. */
  readonly keepsEmpty?: boolean
  /** True if the field takes the focus as it appears, so that somebody can type on. */
  readonly takesFocus?: boolean
}

const WHOLE = /^\d{1,15}$/

export function TextField({
  editing,
  path,
  label,
  hint,
  placeholder,
  isNumber,
  isList,
  keepsEmpty = false,
  takesFocus = false,
}: TextFieldProps): ReactElement {
  const { text } = editing
  const write = useWriting(editing, path)
  const value = valueAt(text, path)
  const shown = Array.isArray(value) ? value.map(String).join(', ') : textAt(text, path)
  const written = (typed: string): unknown => {
    if (typed === '') return keepsEmpty ? '' : undefined
    if (isNumber === true && WHOLE.test(typed)) return Number(typed)
    if (isList === true && typed.includes(',')) return typed.split(',').map(part => part.trim())
    return typed
  }
  const problem = problemAt(editing, path)
  return (
    <Labelled label={label} hint={hint} problem={problem} docs={docsOf(editing, path)}>
      {({ id, describedBy }) => (
        <input
          id={id}
          value={shown}
          placeholder={placeholder}
          inputMode={isNumber === true ? 'numeric' : undefined}
          autoFocus={takesFocus}
          aria-invalid={problem !== undefined}
          aria-describedby={describedBy}
          readOnly={editing.readOnly}
          onChange={({ target }) => write(written(target.value))}
        />
      )}
    </Labelled>
  )
}

interface ChoiceFieldProps extends FieldProps {
  /**
   * The values, each with its label, and with a meaning if one is to stand below. The first value is the
   * default.
   */
  readonly choices: readonly (readonly [value: string, name: string, meaning?: string])[]
  /** True if the default is written as well, instead of left out. */
  readonly isWritten?: boolean
}

export function ChoiceField(props: ChoiceFieldProps): ReactElement {
  const { editing, path, label, hint, choices, isWritten = false } = props
  const { text, change } = editing
  const [first] = choices
  const value = textAt(text, path) || (first?.[0] ?? '')
  const known = choices.some(([choice]) => choice === value) ? choices : [...choices, [value, value] as const]
  return (
    <Labelled
      label={label}
      hint={hint ?? known.find(([choice]) => choice === value)?.[2]}
      problem={problemAt(editing, path)}
      docs={docsOf(editing, path)}
    >
      {({ id, describedBy }) => (
        <select
          id={id}
          value={value}
          aria-describedby={describedBy}
          disabled={editing.readOnly}
          onChange={({ target }) => {
            const isFirst = target.value === first?.[0]
            change(withValue(text, path, isFirst && !isWritten ? undefined : target.value))
          }}
        >
          {known.map(([choice, name]) => (
            <option key={choice} value={choice}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  )
}

interface SwitchProps extends FieldProps {
  /** The value of a field that is switched on. A field that is switched off is left out. */
  readonly on?: unknown
  /** Default: true if the field has exactly the value `on`. */
  readonly isOn?: boolean
}

export function SwitchField({
  editing,
  path,
  label,
  hint,
  on = true,
  isOn = valueAt(editing.text, path) === on,
}: SwitchProps): ReactElement {
  const id = useId()
  return (
    <div className="switch">
      <input
        id={id}
        type="checkbox"
        checked={isOn}
        disabled={editing.readOnly}
        onChange={() => editing.change(withValue(editing.text, path, isOn ? undefined : on))}
      />
      <label htmlFor={id}>
        {label}
        {hint === undefined ? null : <small>{hint}</small>}
      </label>
      <DocsLink docs={docsOf(editing, path)} of={label} />
    </div>
  )
}

/** A text may also hold a secret beside other letters, as `Bearer ${secret:token}` does. */
const SECRET = /\$\{secret:([^}]+)\}/

interface SecretFieldProps extends FieldProps {
  /** The suggested name of the secret. */
  readonly suggested: string
  /** The suggested hosts for a new secret, as far as they are known. */
  readonly hosts?: string
  readonly keepsEmpty?: boolean
  readonly takesFocus?: boolean
}

/** A text that may be stored as a secret. The resource then has only the secret's name. */
export function SecretField({
  editing,
  path,
  label,
  hint,
  suggested,
  hosts = '',
  keepsEmpty = false,
  takesFocus = false,
}: SecretFieldProps): ReactElement {
  const { text, change } = editing
  const write = useWriting(editing, path)
  const [sets, setSets] = useState(false)
  const value = textAt(text, path)
  const secret = SECRET.exec(value)?.[1]
  const problem = problemAt(editing, path)
  return (
    <>
      <Labelled label={label} hint={hint} problem={problem} docs={docsOf(editing, path)}>
        {({ id, describedBy }) => (
          <div className="with-button">
            <input
              id={id}
              value={value}
              autoFocus={takesFocus}
              aria-invalid={problem !== undefined}
              aria-describedby={describedBy}
              readOnly={editing.readOnly}
              onChange={({ target }) => write(target.value === '' && !keepsEmpty ? undefined : target.value)}
            />
            <button type="button" disabled={editing.readOnly} onClick={() => setSets(true)}>
              {secret === undefined ? 'Make it a secret' : 'Set the secret'}
            </button>
          </div>
        )}
      </Labelled>
      {sets ? (
        <EditSecret
          name={secret ?? suggested}
          start={secret === undefined ? value : ''}
          hosts={hosts}
          onSet={name => {
            const reference = `\${secret:${name}}`
            change(
              withValue(
                text,
                path,
                secret === undefined ? reference : value.replace(SECRET, () => reference),
              ),
            )
          }}
          onClose={() => setSets(false)}
        />
      ) : null}
    </>
  )
}

interface PairsFieldProps extends FieldProps {
  /** The start of the suggested names of secrets. Without it, no value may be a secret. */
  readonly suggested?: string
  readonly hosts?: string
}

/** Names and values, such as headers. The value of a new pair takes the focus. */
export function PairsField({
  editing,
  path,
  label,
  hint,
  suggested,
  hosts = '',
}: PairsFieldProps): ReactElement {
  const { text, change, readOnly } = editing
  const [added, setAdded] = useState('')
  const [last, setLast] = useState<string | null>(null)
  const nameField = useRef<HTMLInputElement>(null)
  const names = Object.keys(fieldsOf(valueAt(text, path)))
  const add = (): void => {
    if (added === '' || names.includes(added)) return
    change(withValue(text, [...path, added], ''))
    setLast(added)
    setAdded('')
  }
  return (
    <fieldset className="pairs">
      <legend>{label}</legend>
      <div className="label-line">
        {hint === undefined ? null : <small>{hint}</small>}
        <DocsLink docs={docsOf(editing, path)} of={label} />
      </div>
      {names.map(name => (
        <div key={name} className="pair">
          {suggested === undefined ? (
            <TextField
              editing={editing}
              path={[...path, name]}
              label={name}
              keepsEmpty
              takesFocus={name === last}
            />
          ) : (
            <SecretField
              editing={editing}
              path={[...path, name]}
              label={name}
              suggested={nameFrom(`${suggested}-${name}`)}
              hosts={hosts}
              keepsEmpty
              takesFocus={name === last}
            />
          )}
          <button
            type="button"
            className="small"
            aria-label={`Remove ${name}`}
            disabled={readOnly}
            onClick={() => {
              change(withValue(text, [...path, name], undefined))
              nameField.current?.focus()
            }}
          >
            Remove
          </button>
        </div>
      ))}
      <div className="with-button">
        <input
          ref={nameField}
          aria-label={`Name of another of the ${label.toLowerCase()}`}
          placeholder="Name"
          value={added}
          readOnly={readOnly}
          onChange={({ target }) => setAdded(target.value)}
          onKeyDown={event => {
            if (event.key !== 'Enter') return
            event.preventDefault()
            add()
          }}
        />
        <button type="button" disabled={readOnly || added === ''} onClick={add}>
          Add
        </button>
      </div>
    </fieldset>
  )
}

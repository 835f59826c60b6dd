/**
 * The field mapper: a name of the API on the left, a column on the right. Nested fields are edited as YAML.
 */
import { useEffect, useRef, useState, type KeyboardEvent, type ReactElement } from 'react'
import { valueAt, withValue } from './draft.ts'
import type { Editing } from './use-editing.ts'

interface MapperProps {
  readonly editing: Editing
  readonly path: readonly string[]
  readonly columns: readonly string[]
}

type Mapping = readonly (readonly [name: string, value: unknown])[]

export function FieldMapper({ editing, path, columns }: MapperProps): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, path)
  const mapping: Mapping = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const [dragged, setDragged] = useState<number | null>(null)
  const write = (next: Mapping): void => change(withValue(text, path, Object.fromEntries(next)))
  const move = (from: number, to: number): void => {
    const moved = mapping[from]
    if (moved === undefined || to < 0 || to >= mapping.length) return
    const rest = mapping.filter((_, index) => index !== from)
    write([...rest.slice(0, to), moved, ...rest.slice(to)])
  }
  const { list, follow } = useFollowingFocus()
  const unused = columns.filter(column => !mapping.some(([, each]) => each === column))
  return (
    <fieldset className="mapper">
      <legend>Fields</legend>
      <small>Alt with the arrow keys moves a field; so does dragging its handle.</small>
      <ol ref={list}>
        {mapping.map(([name, column], index) => (
          <li
            key={index}
            onDragOver={event => {
              if (dragged !== null) event.preventDefault()
            }}
            onDrop={() => {
              if (dragged !== null) move(dragged, index)
              setDragged(null)
            }}
            onKeyDown={event => {
              const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
              if (!event.altKey || step === undefined) return
              event.preventDefault()
              if (readOnly || index + step < 0 || index + step >= mapping.length) return
              follow(event, index + step)
              move(index, index + step)
            }}
          >
            <span
              className="handle"
              draggable={!readOnly}
              aria-hidden="true"
              onDragStart={() => setDragged(index)}
            >
              ⠿
            </span>
            <FieldName
              label={`Name of field ${index + 1}`}
              name={name}
              taken={mapping.flatMap(([other], at) => (at === index ? [] : [other]))}
              readOnly={readOnly}
              onChange={next => write(mapping.map((entry, at) => (at === index ? [next, entry[1]] : entry)))}
            />
            <span aria-hidden="true">←</span>
            <FieldValue
              label={`Column of ${name}`}
              value={column}
              columns={columns}
              readOnly={readOnly}
              onChange={next => write(mapping.map((entry, at) => (at === index ? [entry[0], next] : entry)))}
            />
            <button
              type="button"
              className="small"
              aria-label={`Remove ${name}`}
              disabled={readOnly}
              onClick={() => write(mapping.filter((_, at) => at !== index))}
            >
              ✕
            </button>
          </li>
        ))}
      </ol>
      <div className="actions">
        <button
          type="button"
          disabled={readOnly}
          onClick={() => write([...mapping, [freeName(mapping), unused[0] ?? columns[0] ?? '']])}
        >
          Add a field
        </button>
        {unused.length === 0 ? null : (
          <button
            type="button"
            disabled={readOnly}
            onClick={() => write([...mapping, ...unused.map(column => [column, column] as const)])}
          >
            Add all columns
          </button>
        )}
      </div>
    </fieldset>
  )
}

/** The focus follows the field that is moved. */
function useFollowingFocus() {
  const list = useRef<HTMLOListElement>(null)
  const follows = useRef<{ readonly to: number; readonly control: number } | null>(null)
  useEffect(() => {
    if (follows.current === null) return
    const { to, control } = follows.current
    follows.current = null
    controlsIn(list.current?.children[to])[control]?.focus()
  })
  const follow = ({ currentTarget, target }: KeyboardEvent, to: number): void => {
    follows.current = { to, control: controlsIn(currentTarget).findIndex(each => each === target) }
  }
  return { list, follow }
}

/** The elements that can have the focus. */
const controlsIn = (line: Element | undefined): readonly HTMLElement[] =>
  line === undefined ? [] : [...line.querySelectorAll<HTMLElement>('input, select, button')]

interface NameProps {
  readonly label: string
  readonly name: string
  /** The names of all other fields. */
  readonly taken: readonly string[]
  readonly readOnly: boolean
  readonly onChange: (name: string) => void
}

/** While somebody types, a name may equal that of another field for a moment. It is not written then. */
function FieldName({ label, name, taken, readOnly, onChange }: NameProps): ReactElement {
  const [typed, setTyped] = useState(name)
  useEffect(() => setTyped(name), [name])
  const isTaken = taken.includes(typed)
  return (
    <input
      aria-label={label}
      aria-invalid={isTaken}
      title={isTaken ? `There is a field ${typed} already.` : undefined}
      value={typed}
      readOnly={readOnly}
      onChange={({ target }) => {
        setTyped(target.value)
        if (!taken.includes(target.value)) onChange(target.value)
      }}
      onBlur={() => setTyped(name)}
    />
  )
}

interface ValueProps {
  readonly label: string
  readonly value: unknown
  readonly columns: readonly string[]
  readonly readOnly: boolean
  readonly onChange: (value: unknown) => void
}

function FieldValue({ label, value, columns, readOnly, onChange }: ValueProps): ReactElement {
  if (typeof value !== 'string') return <code className="quiet">{JSON.stringify(value)}</code>
  const known = columns.includes(value) ? columns : [...columns, value]
  return (
    <select
      aria-label={label}
      value={value}
      disabled={readOnly}
      onChange={({ target }) => onChange(target.value)}
    >
      {known.map(column => (
        <option key={column}>{column}</option>
      ))}
    </select>
  )
}

function freeName(mapping: Mapping): string {
  for (let number = mapping.length + 1; ; number += 1) {
    const name = `field${number}`
    if (!mapping.some(([taken]) => taken === name)) return name
  }
}

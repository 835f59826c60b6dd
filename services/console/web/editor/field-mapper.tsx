/**
 * The field mapper: a name of the API on the left, and on the right a column, a constant, a text from a
 * template, an object or a list.
 */
import { memo, useCallback, useEffect, useRef, useState, type KeyboardEvent, type ReactElement } from 'react'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { valueAt, withValue } from './draft.ts'
import {
  columnOf,
  columnValue,
  fieldIn,
  textIn,
  freeName,
  kindOfValue,
  mappingOf,
  objectOf,
  valueAs,
  whenNullOf,
  type Mapping,
  type ValueKind,
} from './mapped-values.ts'
import type { Editing } from './use-editing.ts'

interface MapperProps {
  readonly editing: Editing
  readonly path: readonly string[]
  readonly columns: readonly string[]
  /** The completions of templates. */
  readonly words: readonly string[]
}

export function FieldMapper({ editing, path, columns, words }: MapperProps): ReactElement {
  const { text, change, readOnly } = editing
  const shared = { columns, words, readOnly }
  return (
    <fieldset className="mapper">
      <legend>Fields</legend>
      <small>Alt with the arrow keys moves a field; so does dragging its handle.</small>
      <MapFields
        {...shared}
        owner=""
        mapping={mappingOf(valueAt(text, path))}
        onChange={next => change(withValue(text, path, Object.fromEntries(next)))}
      />
    </fieldset>
  )
}

interface SharedProps {
  readonly columns: readonly string[]
  readonly words: readonly string[]
  readonly readOnly: boolean
}

interface MapProps extends SharedProps {
  /** The number of the field that holds these, such as `2.`. Empty for the body itself. */
  readonly owner: string
  readonly mapping: Mapping
  readonly onChange: (mapping: Mapping) => void
}

function MapFields({ owner, mapping, onChange, ...shared }: MapProps): ReactElement {
  const { columns, readOnly } = shared
  const edits = useEdits(mapping, onChange)
  const { list, follow } = useFollowingFocus()
  const used = new Set(mapping.map(([, each]) => columnOf(each)))
  const unused = columns.filter(column => !used.has(column))
  return (
    <>
      <ol ref={list}>
        {mapping.map(([name, value], index) => (
          <Field key={index} {...{ ...shared, owner, index, name, value, edits, follow }} />
        ))}
      </ol>
      <div className="actions">
        <button
          type="button"
          className={owner === '' ? '' : 'small'}
          disabled={readOnly}
          onClick={() => onChange([...mapping, [freeName(mapping), unused[0] ?? columns[0] ?? '']])}
        >
          Add a field
        </button>
        {unused.length === 0 || owner !== '' ? null : (
          <button
            type="button"
            disabled={readOnly}
            onClick={() => onChange([...mapping, ...unused.map(column => [column, column] as const)])}
          >
            Add all columns
          </button>
        )}
      </div>
    </>
  )
}

/** What the fields of a map do with it. */
interface Edits {
  /** True for a name that another field than this one has. */
  readonly isTaken: (index: number, name: string) => boolean
  readonly set: (index: number, entry: Mapping[number]) => void
  readonly remove: (index: number) => void
  /** Returns whether there is such a place. */
  readonly move: (from: number, to: number) => boolean
  /** Says that a field is dragged. */
  readonly drag: (index: number) => void
  readonly isDragging: () => boolean
  /** Moves the field that is dragged to this place. */
  readonly drop: (to: number) => void
}

/** The edits stay the same object, so that a letter draws its own field anew, and not 500 fields. */
function useEdits(mapping: Mapping, onChange: (mapping: Mapping) => void): Edits {
  const latest = useRef({ mapping, onChange })
  latest.current = { mapping, onChange }
  const [edits] = useState<Edits>(() => editsOf(() => latest.current))
  return edits
}

function editsOf(latest: () => Pick<MapProps, 'mapping' | 'onChange'>): Edits {
  let dragged: number | null = null
  const move = (from: number, to: number): boolean => {
    const { mapping, onChange } = latest()
    const moved = mapping[from]
    if (moved === undefined || to < 0 || to >= mapping.length) return false
    onChange(mapping.toSpliced(from, 1).toSpliced(to, 0, moved))
    return true
  }
  return {
    isTaken: (index, name) => latest().mapping.some(([other], at) => at !== index && other === name),
    set: (index, entry) => latest().onChange(latest().mapping.with(index, entry)),
    remove: index => latest().onChange(latest().mapping.toSpliced(index, 1)),
    move,
    drag: index => void (dragged = index),
    isDragging: () => dragged !== null,
    drop: to => {
      if (dragged !== null) move(dragged, to)
      dragged = null
    },
  }
}

interface FieldProps extends SharedProps {
  readonly owner: string
  readonly index: number
  readonly name: string
  readonly value: unknown
  readonly edits: Edits
  readonly follow: (event: KeyboardEvent, to: number) => void
}

const Field = memo(function Field(props: FieldProps): ReactElement {
  const { owner, index, name, value, edits, follow, ...shared } = props
  const { readOnly } = shared
  return (
    <li
      onDragOver={event => {
        if (edits.isDragging()) event.preventDefault()
      }}
      onDrop={() => edits.drop(index)}
      onKeyDown={event => {
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
        if (!event.altKey || step === undefined) return
        event.preventDefault()
        event.stopPropagation()
        if (!readOnly && edits.move(index, index + step)) follow(event, index + step)
      }}
    >
      <span className="handle" draggable={!readOnly} aria-hidden="true" onDragStart={() => edits.drag(index)}>
        ⠿
      </span>
      <FieldName
        label={`Name of field ${owner}${index + 1}`}
        name={name}
        isTaken={typed => edits.isTaken(index, typed)}
        readOnly={readOnly}
        onChange={next => edits.set(index, [next, value])}
      />
      <FieldValue
        {...shared}
        name={name}
        owner={`${owner}${index + 1}.`}
        value={value}
        onChange={next => edits.set(index, [name, next])}
        onRemove={() => edits.remove(index)}
      />
    </li>
  )
})

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
  const follow = useCallback(({ currentTarget, target }: KeyboardEvent, to: number): void => {
    follows.current = { to, control: controlsIn(currentTarget).findIndex(each => each === target) }
  }, [])
  return { list, follow }
}

/** The elements that can have the focus. */
const controlsIn = (line: Element | undefined): readonly HTMLElement[] =>
  line === undefined ? [] : [...line.querySelectorAll<HTMLElement>('input, select, button')]

interface NameProps {
  readonly label: string
  readonly name: string
  /** True for a name that another field has. */
  readonly isTaken: (name: string) => boolean
  readonly readOnly: boolean
  readonly onChange: (name: string) => void
}

/** While somebody types, a name may equal another field's name for a moment. Then it is not written. */
function FieldName({ label, name, isTaken, readOnly, onChange }: NameProps): ReactElement {
  const [typed, setTyped] = useState(name)
  useEffect(() => setTyped(name), [name])
  const isTwice = isTaken(typed)
  return (
    <input
      aria-label={label}
      aria-invalid={isTwice}
      title={isTwice ? `There is a field ${typed} already.` : undefined}
      value={typed}
      readOnly={readOnly}
      onChange={({ target }) => {
        setTyped(target.value)
        if (!isTaken(target.value)) onChange(target.value)
      }}
      onBlur={() => setTyped(name)}
    />
  )
}

/** The kinds as people choose them. A column has one choice for each way to write null. */
const CHOICES: readonly (readonly [choice: string, kind: ValueKind, whenNull: string, name: string])[] = [
  ['column', 'column', '', 'Column'],
  ['empty', 'column', 'empty', 'Column; null as empty text'],
  ['omit', 'column', 'omit', 'Column; left out if null'],
  ['keep', 'column', 'keep', 'Column; null as null'],
  ['constant', 'constant', '', 'Constant'],
  ['template', 'template', '', 'Template'],
  ['object', 'object', '', 'Object'],
  ['list', 'list', '', 'List'],
]

interface ValueProps extends SharedProps {
  /** For example `address`, or `tags 2` for an item of a list. */
  readonly name: string
  readonly owner: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly onRemove: () => void
}

function FieldValue({ name, owner, value, onChange, onRemove, ...shared }: ValueProps): ReactElement {
  const { columns, words, readOnly } = shared
  const kind = kindOfValue(value)
  const nulls = whenNullOf(value)
  const choice = CHOICES.find(
    ([, each, whenNull]) => each === kind && (each !== 'column' || whenNull === nulls),
  )
  const choose = (chosen: string): void => {
    const [, next = 'column', whenNull = ''] = CHOICES.find(([each]) => each === chosen) ?? []
    const start = next === kind ? value : valueAs(next, value, columns)
    onChange(next === 'column' ? columnValue(columnOf(start), whenNull) : start)
  }
  return (
    <>
      <select
        aria-label={`Kind of ${name}`}
        value={choice?.[0]}
        disabled={readOnly}
        onChange={({ target }) => choose(target.value)}
      >
        {CHOICES.map(([each, , , label]) => (
          <option key={each} value={each}>
            {label}
          </option>
        ))}
      </select>
      {kind === 'column' ? (
        <ColumnChoice
          label={`Column of ${name}`}
          value={columnOf(value)}
          {...{ columns, readOnly }}
          onChange={column => onChange(columnValue(column, nulls))}
        />
      ) : kind === 'constant' ? (
        <Constant
          label={`Constant of ${name}`}
          value={fieldIn(value, 'value')}
          readOnly={readOnly}
          onChange={constant => onChange({ value: constant })}
        />
      ) : kind === 'template' ? (
        <LazyCodeEditor
          label={`Template of ${name}`}
          language="text"
          oneLine
          value={textIn(value, 'template')}
          words={words}
          {...(readOnly ? {} : { onChange: (template: string) => onChange({ template }) })}
        />
      ) : (
        <span />
      )}
      <button
        type="button"
        className="small"
        aria-label={`Remove ${name}`}
        disabled={readOnly}
        onClick={onRemove}
      >
        ✕
      </button>
      {kind === 'object' ? (
        <div className="nested" role="group" aria-label={`Fields of ${name}`}>
          <MapFields
            {...shared}
            owner={owner}
            mapping={mappingOf(value)}
            onChange={next => onChange(objectOf(next))}
          />
        </div>
      ) : null}
      {kind === 'list' && Array.isArray(value) ? (
        <div className="nested" role="group" aria-label={`Items of ${name}`}>
          <ListItems {...shared} name={name} owner={owner} items={value} onChange={onChange} />
        </div>
      ) : null}
    </>
  )
}

interface ListProps extends SharedProps {
  readonly name: string
  readonly owner: string
  readonly items: readonly unknown[]
  readonly onChange: (items: readonly unknown[]) => void
}

function ListItems({ name, owner, items, onChange, ...shared }: ListProps): ReactElement {
  const { columns, readOnly } = shared
  return (
    <>
      <ol>
        {items.map((item, index) => (
          <li key={index} className="item">
            <FieldValue
              {...shared}
              name={`${name} ${index + 1}`}
              owner={`${owner}${index + 1}.`}
              value={item}
              onChange={next => onChange(items.map((each, at) => (at === index ? next : each)))}
              onRemove={() => onChange(items.filter((_, at) => at !== index))}
            />
          </li>
        ))}
      </ol>
      <div className="actions">
        <button
          type="button"
          className="small"
          disabled={readOnly}
          onClick={() => onChange([...items, columns[0] ?? ''])}
        >
          Add an item
        </button>
      </div>
    </>
  )
}

interface ColumnProps {
  readonly label: string
  readonly value: string
  readonly columns: readonly string[]
  readonly readOnly: boolean
  readonly onChange: (column: string) => void
}

/**
 * With more columns, a list has its choices only while it has the focus. 500 lists of 500 would hold up the
 * page for seconds.
 */
const MAX_SHOWN = 50

function ColumnChoice({ label, value, columns, readOnly, onChange }: ColumnProps): ReactElement {
  const [has, setHas] = useState(false)
  const known = columns.includes(value) ? columns : [...columns, value]
  const choices = has || known.length <= MAX_SHOWN ? known : [value]
  return (
    <select
      aria-label={label}
      value={value}
      disabled={readOnly}
      // The list opens with the press of a pointer, which comes before the focus.
      onPointerDown={() => setHas(true)}
      onFocus={() => setHas(true)}
      onBlur={() => setHas(false)}
      onChange={({ target }) => onChange(target.value)}
    >
      {choices.map(column => (
        <option key={column}>{column}</option>
      ))}
    </select>
  )
}

const CONSTANTS = ['text', 'number', 'true', 'false', 'null', 'JSON'] as const
type ConstantKind = (typeof CONSTANTS)[number]

function kindOfConstant(value: unknown): ConstantKind {
  if (typeof value === 'number') return 'number'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (value === null) return 'null'
  return typeof value === 'object' ? 'JSON' : 'text'
}

/** Returns the constant that a text stands for. Undefined if it stands for none of its kind. */
function constantOf(kind: ConstantKind, text: string): unknown {
  if (kind === 'text') return text
  if (kind === 'true' || kind === 'false') return kind === 'true'
  if (kind === 'null') return null
  if (kind === 'number') return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface ConstantProps {
  readonly label: string
  readonly value: unknown
  readonly readOnly: boolean
  readonly onChange: (value: unknown) => void
}

/** While somebody types a number or JSON, the text may be invalid for a moment. Then it is not written. */
function Constant({ label, value, readOnly, onChange }: ConstantProps): ReactElement {
  const written = typeof value === 'string' ? value : JSON.stringify(value)
  const [kind, setKind] = useState(() => kindOfConstant(value))
  const [typed, setTyped] = useState(written)
  useEffect(() => {
    const present = constantOf(kind, typed)
    if (present === undefined || JSON.stringify(present) === JSON.stringify(value)) return
    // The value was changed in the YAML.
    setKind(kindOfConstant(value))
    setTyped(written)
  }, [kind, typed, value, written])
  const isNone = constantOf(kind, typed) === undefined
  const set = (nextKind: ConstantKind, text: string): void => {
    setKind(nextKind)
    setTyped(text)
    const next = constantOf(nextKind, text)
    if (next !== undefined) onChange(next)
  }
  return (
    <div className="constant">
      <select
        aria-label={`Type of the ${label.toLowerCase()}`}
        value={kind}
        disabled={readOnly}
        onChange={({ target }) => set(CONSTANTS.find(each => each === target.value) ?? 'text', typed)}
      >
        {CONSTANTS.map(each => (
          <option key={each}>{each}</option>
        ))}
      </select>
      {kind === 'text' || kind === 'number' || kind === 'JSON' ? (
        <input
          aria-label={label}
          aria-invalid={isNone}
          title={isNone ? `This is no ${kind}.` : undefined}
          value={typed}
          readOnly={readOnly}
          onChange={({ target }) => set(kind, target.value)}
        />
      ) : null}
    </div>
  )
}

/** Fields for numbers with a unit: durations, sizes and shares. The unit is chosen, and never typed. */
import { useId, useState, type ReactElement } from 'react'
import { textAt } from './draft.ts'
import { docsOf } from './field-docs.ts'
import { Labelled, problemAt, useWriting, type FieldProps } from './fields.tsx'

interface Unit {
  /** The unit in the text of the resource, such as `ms`. */
  readonly unit: string
  readonly name: string
}

const DURATIONS: readonly Unit[] = [
  { unit: 'ms', name: 'milliseconds' },
  { unit: 's', name: 'seconds' },
  { unit: 'm', name: 'minutes' },
  { unit: 'h', name: 'hours' },
  { unit: 'd', name: 'days' },
]
const SIZES: readonly Unit[] = [
  { unit: 'KB', name: 'KB' },
  { unit: 'MB', name: 'MB' },
]

interface UnitFieldProps extends FieldProps {
  readonly placeholder?: string
  /** The unit until another is chosen. */
  readonly unit?: string
}

export function DurationField({ unit = 's', ...props }: UnitFieldProps): ReactElement {
  return <UnitField {...props} unit={unit} units={DURATIONS} />
}

export function SizeField({ unit = 'MB', ...props }: UnitFieldProps): ReactElement {
  return <UnitField {...props} unit={unit} units={SIZES} />
}

function UnitField(
  props: UnitFieldProps & { readonly unit: string; readonly units: readonly Unit[] },
): ReactElement {
  const { editing, path, label, hint, placeholder, units } = props
  const write = useWriting(editing, path)
  const unitId = useId()
  const text = textAt(editing.text, path)
  const [, amount = text, written] = /^([\d.]*)\s*([A-Za-z]+)$/.exec(text) ?? []
  const [chosen, choose] = useState(props.unit)
  const unit = written ?? chosen
  const known = units.some(each => each.unit === unit) ? units : [...units, { unit, name: unit }]
  const problem = problemAt(editing, path)
  return (
    <Labelled label={label} hint={hint} problem={problem} docs={docsOf(editing, path)}>
      {({ id, describedBy }) => (
        <div className="with-unit">
          <input
            id={id}
            value={amount}
            placeholder={placeholder}
            inputMode="decimal"
            aria-invalid={problem !== undefined}
            aria-describedby={describedBy}
            readOnly={editing.readOnly}
            onChange={({ target }) => {
              choose(unit)
              write(target.value === '' ? undefined : `${target.value}${unit}`)
            }}
          />
          <select
            id={unitId}
            aria-label={`Unit of: ${label}`}
            value={unit}
            disabled={editing.readOnly}
            onChange={({ target }) => {
              choose(target.value)
              if (amount !== '') write(`${amount}${target.value}`)
            }}
          >
            {known.map(each => (
              <option key={each.unit} value={each.unit}>
                {each.name}
              </option>
            ))}
          </select>
        </div>
      )}
    </Labelled>
  )
}

interface PercentProps extends FieldProps {
  readonly placeholder?: string
  /** True if an emptied field is written as empty text, instead of being left out. */
  readonly keepsEmpty?: boolean
}

/** A share from 0 to 1 in the resource, which people read and type as a percentage. */
export function PercentField(props: PercentProps): ReactElement {
  const { editing, path, label, hint, placeholder, keepsEmpty = false } = props
  const write = useWriting(editing, path)
  const text = textAt(editing.text, path)
  const [typed, setTyped] = useState<string | null>(null)
  // A text that is no share is shown as it is, with its mistake.
  const shown = isNumber(text) ? String(exact(Number(text) * 100)) : text
  const problem = problemAt(editing, path)
  return (
    <Labelled label={label} hint={hint} problem={problem} docs={docsOf(editing, path)}>
      {({ id, describedBy }) => (
        <div className="with-unit">
          <input
            id={id}
            value={typed ?? shown}
            placeholder={placeholder}
            inputMode="decimal"
            aria-invalid={problem !== undefined}
            aria-describedby={describedBy}
            readOnly={editing.readOnly}
            onBlur={() => setTyped(null)}
            onChange={({ target: { value } }) => {
              const percent = value.replace('%', '').replace(',', '.')
              setTyped(value)
              if (value === '' && !keepsEmpty) write(undefined)
              else write(isNumber(percent) ? exact(Number(percent) / 100) : value)
            }}
          />
          <span className="unit">%</span>
        </div>
      )}
    </Labelled>
  )
}

const isNumber = (text: string): boolean => text.trim() !== '' && Number.isFinite(Number(text))

/** The number without the last digits, which binary fractions have wrong. */
const exact = (value: number): number => Number(value.toPrecision(12))

/** A choice among forms of a setting, each of which may have fields of its own below. */
import type { ReactElement, ReactNode } from 'react'
import { valueAt, withValue } from './draft.ts'
import { docsOf } from './field-docs.ts'
import { Labelled, problemAt, type FieldProps } from './fields.tsx'

interface SelectProps {
  readonly label: string
  readonly hint?: ReactNode
  readonly problem?: string | undefined
  readonly docs?: string | undefined
  readonly value: string
  readonly readOnly: boolean
  readonly options: readonly (readonly [value: string, name: string])[]
  readonly onChoose: (value: string) => void
}

export function SelectField(props: SelectProps): ReactElement {
  const { label, hint, problem, docs, value, readOnly, options, onChoose } = props
  return (
    <Labelled label={label} hint={hint} problem={problem} docs={docs}>
      {({ id, describedBy }) => (
        <select
          id={id}
          value={value}
          aria-describedby={describedBy}
          disabled={readOnly}
          onChange={({ target }) => onChoose(target.value)}
        >
          {options.map(([each, name]) => (
            <option key={each} value={each}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  )
}

interface ModeProps extends FieldProps {
  /** Each has its name, the value that it starts with, and a test of the values that are of this mode. */
  readonly modes: readonly Mode[]
  /** Shown below the choice, for example fields of the chosen mode. */
  readonly children?: (mode: string) => ReactNode
}

export interface Mode {
  readonly id: string
  readonly name: string
  /** Shown below the choice. */
  readonly meaning?: string
  readonly start: unknown
  readonly fits: (value: unknown) => boolean
}

/** A setting whose value is of one of several shapes, such as `false` or a map. */
export function ModeField({ editing, path, label, hint, modes, children }: ModeProps): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, path)
  const mode = modes.find(({ fits }) => fits(value)) ?? modes[0]
  return (
    <>
      <SelectField
        {...{ label, readOnly }}
        hint={hint ?? mode?.meaning}
        problem={problemAt(editing, path)}
        docs={docsOf(editing, path)}
        value={mode?.id ?? ''}
        options={modes.map(({ id, name }) => [id, name])}
        onChoose={id => change(withValue(text, path, modes.find(each => each.id === id)?.start))}
      />
      {children?.(mode?.id ?? '')}
    </>
  )
}

export const isAbsent = (value: unknown): boolean => value === undefined

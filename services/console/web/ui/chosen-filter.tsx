/** A filter of a list by one of some values. */
import type { ReactElement } from 'react'

interface ChosenFilterProps {
  readonly label: string
  /** Undefined if the list is not filtered by it. */
  readonly value: string | undefined
  /** The values, each alone or with what is shown for it. */
  readonly choices: readonly (string | readonly [value: string, shown: string])[]
  readonly onChange: (value: string | undefined) => void
}

export function ChosenFilter({ label, value, choices, onChange }: ChosenFilterProps): ReactElement {
  return (
    <label>
      <span>{label}</span>
      <select value={value ?? ''} onChange={({ target }) => onChange(target.value || undefined)}>
        <option value="">All</option>
        {choices
          .map(choice => (typeof choice === 'string' ? ([choice, choice] as const) : choice))
          .map(([choice, shown]) => (
            <option key={choice} value={choice}>
              {shown}
            </option>
          ))}
      </select>
    </label>
  )
}

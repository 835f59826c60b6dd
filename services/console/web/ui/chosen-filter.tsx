/** A filter of a list by one of some values. */
import type { ReactElement } from 'react'

interface ChosenFilterProps {
  readonly label: string
  /** Undefined if the list is not filtered by it. */
  readonly value: string | undefined
  readonly choices: readonly string[]
  readonly onChange: (value: string | undefined) => void
}

export function ChosenFilter({ label, value, choices, onChange }: ChosenFilterProps): ReactElement {
  return (
    <label>
      <span>{label}</span>
      <select value={value ?? ''} onChange={({ target }) => onChange(target.value || undefined)}>
        <option value="">All</option>
        {choices.map(choice => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    </label>
  )
}

/** A filter of a list by letters that its items have. */
import type { ReactElement } from 'react'

interface FindFilterProps {
  readonly label: string
  readonly placeholder: string
  readonly value: string
  readonly onChange: (letters: string) => void
}

export function FindFilter({ label, placeholder, value, onChange }: FindFilterProps): ReactElement {
  return (
    <label>
      <span>Find</span>
      <input
        type="search"
        placeholder={placeholder}
        aria-label={label}
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
    </label>
  )
}

/** A choice of several names, each with a box to tick. */
import type { ReactElement } from 'react'

interface TicksProps {
  readonly names: readonly string[]
  /** A chosen name that is none of the others is shown, too. */
  readonly chosen: readonly string[]
  readonly readOnly: boolean
  readonly onChange: (chosen: readonly string[]) => void
}

export function Ticks({ names, chosen, readOnly, onChange }: TicksProps): ReactElement {
  return (
    <>
      {[...new Set([...names, ...chosen])].map(name => (
        <label key={name}>
          <input
            type="checkbox"
            disabled={readOnly}
            checked={chosen.includes(name)}
            onChange={() =>
              onChange(chosen.includes(name) ? chosen.filter(each => each !== name) : [...chosen, name])
            }
          />
          {name}
        </label>
      ))}
    </>
  )
}

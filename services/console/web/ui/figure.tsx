/** A headline figure: its name, its value, and what it is about. It stands in a `dl.headline`. */
import type { ReactElement, ReactNode } from 'react'

interface FigureProps {
  readonly name: string
  readonly value: ReactNode
  readonly isBad?: boolean
  readonly children?: ReactNode
}

export function Figure({ name, value, isBad = false, children }: FigureProps): ReactElement {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong className={isBad ? 'bad' : ''}>{value}</strong>
        {children === undefined ? null : <small>{children}</small>}
      </dd>
    </div>
  )
}

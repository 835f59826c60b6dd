/** The name of a resource as people read it: its title, if it has one, with the name beside it. */
import type { ReactElement } from 'react'

interface NamedProps {
  readonly name: string
  readonly title?: string | null | undefined
}

export function Named({ name, title }: NamedProps): ReactElement {
  if (title === undefined || title === null || title === '') return <>{name}</>
  // A title such as `Open invoices` says all that the name `open-invoices` does.
  if (title.toLowerCase().replaceAll(' ', '-') === name) return <bdi>{title}</bdi>
  return (
    <>
      <bdi>{title}</bdi> <small className="name">{name}</small>
    </>
  )
}

/** The title in a resource as its author wrote it. */
export function titleIn(spec: { readonly [field: string]: unknown }): string | undefined {
  const { title } = spec
  return typeof title === 'string' ? title : undefined
}

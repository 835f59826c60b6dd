/** Leads from an error of a source to its page, which tests the connection. */
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'

export function OpenSource({ name }: { readonly name: string }): ReactElement {
  return (
    <Link to="/resources/$kind/$name" params={{ kind: 'source', name }} className="button small">
      Open the source
    </Link>
  )
}

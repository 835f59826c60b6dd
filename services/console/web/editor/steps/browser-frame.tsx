/** The frame of a browser of what a source holds: its heading with a search, and why it shows nothing yet. */
import type { ReactElement, ReactNode } from 'react'
import { connectionFault } from './connection-fault.ts'

interface FrameProps {
  /** One of the things that are listed, such as `table`. */
  readonly one: string
  /** Undefined where nobody has to search. */
  readonly search: { readonly text: string; readonly set: (text: string) => void } | undefined
  /** Present where a search asks the source again. */
  readonly isBusy?: boolean
  readonly children: ReactNode
}

export function BrowserFrame({ one, search, isBusy, children }: FrameProps): ReactElement {
  const title = `${one.slice(0, 1).toUpperCase()}${one.slice(1)}s`
  return (
    <section className="tables" aria-label={`${title} of the source`} aria-busy={isBusy}>
      <header>
        <h3>{title}</h3>
        {search === undefined ? null : (
          <input
            type="search"
            aria-label={`Search for a ${one}`}
            placeholder="Search"
            value={search.text}
            onChange={({ target }) => search.set(target.value)}
          />
        )}
      </header>
      <div className="tables-list" tabIndex={0} role="group" aria-label={title}>
        {children}
      </div>
    </section>
  )
}

interface UnknownProps extends Pick<FrameProps, 'one'> {
  readonly source: string
  /** Null while the source is asked. */
  readonly error: Error | null
}

/** Says that the source is asked, or why it gives no answer. */
export function Unknown({ one, source, error }: UnknownProps): ReactElement {
  return error === null ? (
    <p className="quiet" aria-busy="true">
      Looking for {one}s…
    </p>
  ) : (
    <p className="field-error" role="alert">
      {connectionFault(error, source).words} The step “Source” has a test of the connection.
    </p>
  )
}

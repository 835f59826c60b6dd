/** The title of a resource, for people, and its name, which is made from the title. */
import { useState, type ReactElement } from 'react'
import { nameFrom, nameIn, textAt } from './draft.ts'
import { Labelled, NAME_HINT, TextField } from './fields.tsx'
import { titled } from './naming.ts'
import type { Editing } from './use-editing.ts'

/** The name of a new resource follows its title, until somebody writes a name of their own. */
export function NamingFields({
  editing,
  label = 'Name',
}: {
  readonly editing: Editing
  readonly label?: string
}): ReactElement {
  const { text, change, readOnly, isNew = false } = editing
  const title = textAt(text, ['title'])
  const [isOwn, setOwn] = useState(() => title !== '' && nameFrom(title) !== nameIn(text))
  const [given, setGiven] = useState<string | null>(null)
  const write = (typed: string): void => {
    const next = titled(text, typed, { isNew, isOwn, given })
    setGiven(next.given)
    change(next.text)
  }
  return (
    <div className="columns">
      <Labelled label="Title" hint="For people, in any words">
        {({ id, describedBy }) => (
          <input
            id={id}
            value={title}
            aria-describedby={describedBy}
            readOnly={readOnly}
            onChange={({ target }) => write(target.value)}
          />
        )}
      </Labelled>
      <TextField
        editing={{
          ...editing,
          change: next => {
            setOwn(true)
            change(next)
          },
        }}
        path={['name']}
        label={label}
        hint={NAME_HINT}
      />
    </div>
  )
}

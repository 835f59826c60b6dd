/** The name of a new resource, which follows its title. */
import { nameFrom, nameIn, withValue } from './draft.ts'

interface Naming {
  /** True if the server has no resource of this name. */
  readonly isNew: boolean
  /** True once the user has written a name. */
  readonly isOwn: boolean
  /** The last name that came from the title. Null if none did. */
  readonly given: string | null
}

interface Titled {
  readonly text: string
  readonly given: string | null
}

/**
 * Sets the title of a resource, and the name of a new one. While somebody types, a name from the title may be
 * that of a stored resource for a moment. It follows the title all the same.
 */
export function titled(text: string, title: string, { isNew, isOwn, given }: Naming): Titled {
  const changed = withValue(text, ['title'], title === '' ? undefined : title)
  const name = nameFrom(title)
  const follows = !isOwn && name !== '' && (isNew || nameIn(text) === given)
  return follows ? { text: withValue(changed, ['name'], name), given: name } : { text: changed, given }
}

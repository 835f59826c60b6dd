/** The question before a change of a resource that other syncs use, too. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState, type ReactElement } from 'react'
import { resourcesQuery } from '../api/queries.ts'
import { many } from '../ui/format.ts'
import { KINDS, nameIn, textOf, type Draft, type Kind } from './draft.ts'
import { isShared, syncsThatUse, withCopy, type SharedKind, type Stored } from './reused.ts'
import type { DraftState } from './use-editing.ts'

const NO_RESOURCES: readonly ResourceView[] = []

interface Rights {
  /** The texts that the user may not change yet. */
  readonly readOnly: readonly Kind[]
  /** The kinds whose resource the user has taken over from a folder in Git. */
  readonly taken: readonly Kind[]
  readonly take: (kind: Kind) => void
  readonly shared: Shared
}

/**
 * A resource from a folder in Git is read only until the user takes it over. A resource that other syncs use
 * is read only until the user has confirmed that the change is for these syncs, too.
 */
export function useRights(state: DraftState, stored: Stored, resources: readonly ResourceView[]): Rights {
  const { draft } = state
  const [taken, setTaken] = useState<readonly Kind[]>([])
  const shared = useShared(state, stored, resources)
  const readOnly = useMemo(
    () =>
      Object.values(stored).flatMap(resource => {
        const { kind, name, project } = resource
        if (name !== nameIn(draft[kind])) return []
        // A new resource may have this name for a moment, while the user types a longer one.
        const asks = shared.waits.includes(kind) && draft[kind] === textOf(resource)
        return asks || (project !== '' && !taken.includes(kind)) ? [kind] : []
      }),
    [draft, shared.waits, stored, taken],
  )
  return { readOnly, taken, take: kind => setTaken([...taken, kind]), shared }
}

interface Shared {
  /** The kinds whose resource other syncs use, and that the user has not yet said to change for all. */
  readonly waits: readonly Kind[]
  /** The other syncs that use the resource. */
  readonly usersOf: (kind: SharedKind) => readonly string[]
  readonly allow: (kind: Kind) => void
  readonly resources: readonly ResourceView[]
}

function useShared(state: DraftState, stored: Stored, given: readonly ResourceView[]): Shared {
  const { draft, allowed } = state
  const { data } = useQuery(resourcesQuery)
  const resources = given.length > 0 ? given : (data?.resources ?? NO_RESOURCES)
  const own = nameIn(draft.sync)
  const usersOf = (kind: SharedKind): readonly string[] =>
    syncsThatUse(kind, nameIn(draft[kind]), resources).filter(sync => sync !== own)
  const placeOf = (kind: Kind): string => `${kind}/${nameIn(draft[kind])}`
  const waiting = Object.values(stored).flatMap(({ kind, name }) =>
    isShared(kind) &&
    name === nameIn(draft[kind]) &&
    !allowed.includes(placeOf(kind)) &&
    usersOf(kind).length > 0
      ? [kind]
      : [],
  )
  const key = waiting.join()
  const waits = useMemo(() => KINDS.filter(kind => key.split(',').includes(kind)), [key])
  const allow = (kind: Kind): void => state.allow(placeOf(kind))
  return { waits, usersOf, allow, resources }
}

interface SharedProps {
  readonly kind: Kind
  readonly draft: Draft
  readonly rights: Rights
  readonly onCopy: (draft: Draft) => void
}

/** Shows nothing if no other sync uses the resource, and once the user has answered. */
export function SharedResource({ kind, draft, rights, onCopy }: SharedProps): ReactElement | null {
  const { shared, readOnly } = rights
  if (!isShared(kind) || !shared.waits.includes(kind)) return null
  const users = shared.usersOf(kind)
  return (
    <div className="banner" role="note">
      <p>
        {many(users.length, 'other sync uses', 'other syncs use')} this {kind}: {users.join(', ')}.
      </p>
      <p className="actions">
        <button type="button" className="small" onClick={() => shared.allow(kind)}>
          Change it for all {users.length + 1} syncs
        </button>
        {/* The sync names the copy, so it has to be writable itself. */}
        {readOnly.includes('sync') ? null : (
          <button
            type="button"
            className="small"
            onClick={() => onCopy(withCopy(draft, kind, shared.resources))}
          >
            Make a copy
          </button>
        )}
      </p>
    </div>
  )
}

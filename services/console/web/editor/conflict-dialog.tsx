/**
 * The dialog for a conflict: somebody else has saved meanwhile, and the user chooses between both versions.
 */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { ApiError } from '../api/client.ts'
import { resourceQuery } from '../api/queries.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Loading, Trouble } from '../ui/parts.tsx'
import { textOf } from './draft.ts'
import { LinesThatDiffer } from './lines-that-differ.tsx'

export interface Conflict {
  readonly kind: ResourceView['kind']
  readonly name: string
  readonly mine: string
  /** The server's current version. */
  readonly present: number
}

/** The server's current version, if a save failed because somebody else had saved. Else undefined. */
export const presentVersion = (failure: unknown): number | undefined =>
  failure instanceof ApiError ? failure.problem?.versions?.present : undefined

interface ConflictProps {
  readonly conflict: Conflict
  readonly onOverwrite: () => void
  readonly onClose: () => void
}

export function ConflictDialog({ conflict, onOverwrite, onClose }: ConflictProps): ReactElement {
  const { kind, name, mine } = conflict
  const { data, error } = useQuery({ ...resourceQuery(kind, name), staleTime: 0 })
  return (
    <Dialog wide title={`Somebody else has changed the ${kind} ${name}`} onClose={onClose}>
      <p>It was saved after you opened it. Lines with − are theirs, lines with + are yours.</p>
      {error === null ? null : <Trouble error={error} />}
      {data === undefined ? (
        <Loading />
      ) : (
        <LinesThatDiffer before={textOf(data)} after={mine} label="Their version and yours" />
      )}
      <footer className="dialog-actions">
        <button type="button" onClick={onClose}>
          Go on editing mine
        </button>
        <button type="button" className="danger" onClick={onOverwrite}>
          Save mine over theirs
        </button>
      </footer>
    </Dialog>
  )
}

/** Errors of a definition, with the places in the files in which its resources are written. */
import type { RunView } from '@sluice/contracts/api'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Definition, ResourceKind } from '@sluice/contracts/resources'
import { placedInFile } from '@sluice/project/checks/check-templates'
import type { Project } from '@sluice/project/project'

/** The places of the fields of one resource. */
export type Origins = NonNullable<ReturnType<Project['origins']['get']>>

/** The error with the places of its details. It stays as it is if none of its fields is written in a file. */
export function placedError(
  error: unknown,
  { sync, model, source, destination }: Definition,
  originsOf: (kind: ResourceKind, name: string) => Origins | undefined,
): unknown {
  if (!isSluiceError(error)) return error
  const owner = [sync, model, source, destination].flatMap(({ kind, name }) => {
    const origins = originsOf(kind, name)
    const knows =
      origins !== undefined && error.details.some(({ field = '' }) => field !== '' && origins.has(field))
    return knows ? [{ origins, what: `${kind} \`${name}\`` }] : []
  })[0]
  if (owner === undefined) return error
  const details = error.details.map(detail => placedInFile(detail, owner.origins, owner.what))
  return new SluiceError(error.code, error.message, { details, retryable: error.retryable, cause: error })
}

interface PlacedDefinitions {
  definition(sync: string, signal: AbortSignal): Promise<Definition>
  readonly placed?: (error: unknown, definition: Definition) => unknown
}

/**
 * A failed run with the places of its mistakes in files. It stays as it is where its resources are in no
 * files, or the sync is gone or broken by now.
 */
export async function placedRun(
  view: RunView,
  catalog: PlacedDefinitions,
  signal: AbortSignal,
): Promise<RunView> {
  const { sync, errorDetails: details, error, errorCode = 'internal' } = view
  if (details === undefined || catalog.placed === undefined) return view
  try {
    const thrown = new SluiceError(errorCode, error ?? '', { details })
    const placed = catalog.placed(thrown, await catalog.definition(sync, signal))
    return isSluiceError(placed) ? { ...view, errorDetails: [...placed.details] } : view
  } catch (missing) {
    if (isSluiceError(missing)) return view
    throw missing
  }
}

/** A failed run with the files in which its mistakes are. */
import type { RunView } from '@sluice/contracts/api'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '../catalog.ts'

/** The run as it is, where its resources are in no files, or the sync is gone or broken by now. */
export async function placedRun(view: RunView, catalog: Catalog, signal: AbortSignal): Promise<RunView> {
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

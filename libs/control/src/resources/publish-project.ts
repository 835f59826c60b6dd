/** Puts the resources of a project into the log before a run of one of its syncs is asked for. */
import { isSluiceError } from '@sluice/contracts/errors'
import { SharedWork } from '@sluice/flow/shared-work'
import { assertKeyFits } from '@sluice/resources/stored-documents'
import type { Catalog } from '../catalog.ts'
import type { Pipeline } from '../pipeline.ts'
import type { StoredKeeping } from './stored-keeping.ts'

/**
 * Many runs that are asked for at the same time share one publication. A sync that comes back may have been
 * deleted by a process that died at that. Such a deletion is ended first.
 */
export function publicationOf(of: {
  readonly catalog: Catalog
  readonly keeping: Pick<StoredKeeping, 'endDeletions'>
  readonly open: () => Promise<Pipeline>
}): SharedWork<void> {
  const { catalog, keeping, open } = of
  return new SharedWork(async ({ signal }) => {
    const pipeline = await open()
    await assertKeyFits(pipeline, { signal })
    try {
      await catalog.publish(pipeline, signal)
    } catch (error) {
      if (!isSluiceError(error, 'conflict')) throw error
      await keeping.endDeletions(signal)
      await catalog.publish(pipeline, signal)
    }
  })
}

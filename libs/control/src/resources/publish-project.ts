/** Puts the resources of a project into the log before something is asked of one of its syncs. */
import type { Owner } from '@sluice/contracts/document-records'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import { SharedWork } from '@sluice/flow/shared-work'
import { assertKeyFits } from '@sluice/resources/stored-documents'
import type { Catalog, Others } from '../catalog.ts'
import type { Pipeline } from '../pipeline.ts'
import { leftText, othersText } from './resource-plan.ts'
import type { StoredKeeping } from './stored-keeping.ts'

/**
 * Called with the owner of the project, and with notices about resources that were not written because they
 * belong to another project.
 */
export type OnPublished = (owner: Owner, notices: readonly string[]) => void

interface PublicationDeps {
  readonly catalog: Catalog
  readonly keeping: Pick<StoredKeeping, 'endDeletions'>
  readonly hasHistory: boolean
  readonly open: () => Promise<Pipeline>
  readonly onPublished?: OnPublished | undefined
}

/**
 * Refuses commands about a sync that belongs to another project, or that uses a resource of another project.
 * Commands that only end a run are allowed.
 */
export class Publication {
  readonly #deps: PublicationDeps
  readonly #published: SharedWork<Others | null>

  constructor(deps: PublicationDeps) {
    this.#deps = deps
    this.#published = new SharedWork(({ signal }) => this.#publish(signal))
  }

  /**
   * Prepares a command about a sync; `definition` is null if it is not known. With `publishes`, it publishes
   * the project, and throws `conflict` if the sync uses a resource of another project. Concurrent callers
   * share one publication. Without `publishes`, the command needs nothing of the project.
   */
  async before(
    { publishes, definition }: { readonly publishes: boolean; readonly definition: Definition | null },
    signal: AbortSignal,
  ): Promise<void> {
    if (!publishes) return await assertKeyFits(await this.#deps.open(), { signal })
    const others = await this.#published.done({ signal })
    if (others === null) return
    if (definition !== null) assertOwn(definition, others)
    const { owner, records } = others
    this.#deps.onPublished?.(owner, records.length === 0 ? [] : [leftText(records, owner)])
  }

  /** Throws `conflict` if the sync uses a resource of another project. Writes nothing. */
  async assertOwn(definition: Definition, signal: AbortSignal): Promise<void> {
    const { catalog, hasHistory, open } = this.#deps
    if (catalog.others === undefined || !hasHistory) return
    assertOwn(definition, await catalog.others(await open(), signal))
  }

  /**
   * Publishes the project. First ends the deletion of a sync that comes back now, if a process died during
   * it.
   */
  async #publish(signal: AbortSignal): Promise<Others | null> {
    const { catalog, keeping, open } = this.#deps
    const pipeline = await open()
    await assertKeyFits(pipeline, { signal })
    try {
      return await catalog.publish(pipeline, signal)
    } catch (error) {
      if (!isSluiceError(error, 'conflict')) throw error
      await keeping.endDeletions(signal)
      return await catalog.publish(pipeline, signal)
    }
  }
}

function assertOwn(definition: Definition, { owner, records }: Others): void {
  const used = [definition.sync, definition.model, definition.source, definition.destination]
  const others = records.filter(record =>
    used.some(({ kind, name }) => kind === record.kind && name === record.name),
  )
  if (others.length > 0) throw new SluiceError('conflict', othersText(others, owner))
}

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

/** Takes whose the project is, and what to tell people of what was left alone, since it is another's. */
export type OnPublished = (owner: Owner, notices: readonly string[]) => void

interface PublicationDeps {
  readonly catalog: Catalog
  readonly keeping: Pick<StoredKeeping, 'endDeletions'>
  readonly hasHistory: boolean
  readonly open: () => Promise<Pipeline>
  readonly onPublished?: OnPublished | undefined
}

/** Nothing is asked of a sync that is another project's, or uses what is, but that a run of it ends. */
export class Publication {
  readonly #deps: PublicationDeps
  readonly #published: SharedWork<Others | null>

  constructor(deps: PublicationDeps) {
    this.#deps = deps
    this.#published = new SharedWork(({ signal }) => this.#publish(signal))
  }

  /**
   * What comes before a command about a sync; `definition` is null if nobody knows it. Publishes the project
   * where the command needs that. Callers at the same time share one publication. Throws `conflict` then if
   * something that the sync uses is another's. Another command ends something, which anybody may have to.
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

  /** Throws `conflict` if something that the sync uses is another's. Writes nothing. */
  async assertOwn(definition: Definition, signal: AbortSignal): Promise<void> {
    const { catalog, hasHistory, open } = this.#deps
    if (catalog.others === undefined || !hasHistory) return
    assertOwn(definition, await catalog.others(await open(), signal))
  }

  /** A sync that comes back may have been deleted by a process that died at that. That is ended first. */
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

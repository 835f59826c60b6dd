/** Finds syncs that share a destination, so that each leaves some of its slots free (PROTOCOL.md §9). */
import { parseResource } from '@sluice/resources/parse-documents'
import { readResources, type ResourcesDeps } from '@sluice/resources/stored-resources'
import type { Logger } from '@sluice/runtime/logger'
import { SharedWork } from '@sluice/flow/shared-work'
import { at, sharedTopics } from '@sluice/topics/topics'

/** One process has one. It reads the resources again only if they have changed. */
export class Neighbours {
  readonly #deps: ResourcesDeps & { readonly logger: Logger }
  #isWarned = false
  readonly #reading = new SharedWork<void>(options => this.#read(options))
  #readTo = -1
  /** The names of syncs, by destination. */
  #syncs = new Map<string, Set<string>>()

  constructor(deps: ResourcesDeps & { readonly logger: Logger }) {
    this.#deps = deps
  }

  /**
   * Returns true if another sync has this destination, too. Returns false if the resources cannot be read.
   * The sync then leaves slots free only once another sync holds some. Rejects when aborted.
   */
  async has(
    { sync, destination }: { readonly sync: string; readonly destination: string },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<boolean> {
    try {
      await this.#reading.done({ signal })
      this.#isWarned = false
    } catch (err) {
      signal.throwIfAborted()
      if (!this.#isWarned)
        this.#deps.logger.warn(
          { err },
          'the resources cannot be read, so it is not known which syncs share a destination: a slow one may hold up others there',
        )
      this.#isWarned = true
    }
    const syncs = this.#syncs.get(destination)
    return syncs !== undefined && syncs.size > (syncs.has(sync) ? 1 : 0)
  }

  async #read(options: { readonly signal: AbortSignal }): Promise<void> {
    const { log, prefix } = this.#deps
    const { end } = await log.offsets(at(sharedTopics(prefix).resources, 0), options)
    if (end === this.#readTo) return
    const syncs = new Map<string, Set<string>>()
    for (const { kind, name, spec } of (await readResources(this.#deps, options)).values()) {
      const destination = kind === 'sync' ? destinationOf(spec) : null
      if (destination === null) continue
      syncs.set(destination, (syncs.get(destination) ?? new Set()).add(name))
    }
    this.#syncs = syncs
    this.#readTo = end
  }
}

/** Returns null for a sync that cannot be parsed, since that sync sends nothing. */
function destinationOf(spec: string): string | null {
  try {
    const resource = parseResource(spec)
    return resource.kind === 'sync' ? resource.destination : null
  } catch {
    return null
  }
}

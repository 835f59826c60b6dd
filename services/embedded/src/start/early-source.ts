/**
 * The source that the first run is expected to read. It gets ready while the folder is opened: a source on
 * files starts a process, which takes as long.
 */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Source } from '@sluice/sources/port'

export class EarlySource implements AsyncDisposable {
  readonly #spec: SourceSpec | null
  #opened: Promise<Source> | null

  /** Only a source on files gains from it, and needs no secrets, which are not known so early. */
  constructor(spec: SourceSpec | null, open: (spec: SourceSpec) => Promise<Source>) {
    this.#spec = spec
    this.#opened = spec?.type === 'duckdb' ? open(spec) : null
    // Its failure counts once somebody takes the source.
    this.#opened?.catch(() => undefined)
  }

  /** The source, for the first that asks for exactly this one; else null. */
  take(spec: SourceSpec): Promise<Source> | null {
    if (JSON.stringify(spec) !== JSON.stringify(this.#spec)) return null
    const opened = this.#opened
    this.#opened = null
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    const source = await opened?.catch(() => null)
    await source?.[Symbol.asyncDispose]()
  }
}

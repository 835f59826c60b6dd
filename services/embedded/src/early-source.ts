/**
 * The source that the first run is expected to read. It gets ready while the folder is opened. A source on
 * files starts a process, which takes about as long.
 */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Source } from '@sluice/sources/port'

export class EarlySource implements AsyncDisposable {
  readonly #spec: SourceSpec | null
  #opened: Promise<Source> | null

  /**
   * Opens only a source on files, since it takes long to open and needs no secrets. The vault is not open
   * yet.
   */
  constructor(spec: SourceSpec | null, open: (spec: SourceSpec) => Promise<Source>) {
    this.#spec = spec
    this.#opened = spec !== null && 'path' in spec ? open(spec) : null
    // A failure counts only once a run takes the source.
    this.#opened?.catch(() => undefined)
  }

  /** Returns the source to the first caller that wants exactly this one; else null. */
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

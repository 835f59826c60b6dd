/**
 * Returns to the system the free memory that the C library keeps. glibc gives back only the end of its heap.
 * So one small piece at the end keeps all memory below it, even if V8's compiler, buffers and DuckDB have
 * freed that memory (docs/decisions/heap-by-room.md). Node cannot call `malloc_trim`. DuckDB does, each time
 * that a limit of memory is set.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

/** The instance has no data, so any limit would do. */
const LIMIT = '16MB'

interface Opened {
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
}

export class FreedMemory implements AsyncDisposable {
  #opened: Promise<Opened> | null = null
  #giving: Promise<unknown> | null = null

  /**
   * Resolves once the memory is given back. It works on a thread, and took 35 to 175 ms for some 100 MB on a
   * busy machine. DuckDB does nothing within 100 ms of the last time, or with another C library than glibc.
   * One call at a time. Rejects if DuckDB fails.
   */
  async giveBack(): Promise<void> {
    this.#opened ??= open()
    this.#giving = this.#opened.then(({ connection }) => connection.run(`SET memory_limit = '${LIMIT}'`))
    await this.#giving
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#giving?.catch(() => undefined)
    const opened = await this.#opened?.catch(() => null)
    opened?.connection.closeSync()
    opened?.instance.closeSync()
  }
}

async function open(): Promise<Opened> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: LIMIT })
  return { instance, connection: await instance.connect() }
}

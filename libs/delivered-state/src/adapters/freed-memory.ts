/**
 * Gives memory back to the system that the C library keeps though it is free. glibc gives back only what lies
 * at the end of its heap. So one small piece there keeps all that V8's compiler, buffers and DuckDB have
 * freed below it (docs/decisions/heap-by-room.md). Node cannot call `malloc_trim`. DuckDB does, each time
 * that a limit of memory is set.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

/** An instance without data. The limit decides nothing. */
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
   * busy machine. It does nothing within 100 ms of the last time, as DuckDB has it, or where the C library is
   * another one. One call at a time. Rejects if DuckDB does.
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

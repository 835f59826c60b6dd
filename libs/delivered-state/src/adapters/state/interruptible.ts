/** Work of DuckDB that ends when a signal aborts. */
import type { DuckDBConnection } from '@duckdb/node-api'

/** DuckDB ignores an interrupt before a statement has begun, so it is repeated until it counts. */
const REPEAT_MS = 20

/** Rejects with the signal's reason once it aborts, whatever the work comes to. */
export async function interruptible<T>(
  connection: DuckDBConnection,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const interrupt = () => {
    connection.interrupt()
    timer ??= setInterval(() => connection.interrupt(), REPEAT_MS)
  }
  signal.addEventListener('abort', interrupt, { once: true })
  try {
    const result = await work()
    signal.throwIfAborted()
    return result
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', interrupt)
    clearInterval(timer)
  }
}

/** Work of DuckDB that ends when a signal aborts. */
import type { DuckDBConnection } from '@duckdb/node-api'

/** DuckDB ignores an interrupt before a statement has begun, so the interrupt is repeated. */
const REPEAT_MS = 20

/** Does the work. Rejects with the signal's reason once it aborts, even if the work has succeeded. */
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

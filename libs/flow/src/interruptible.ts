/** Work on a connection of a database that ends when a signal aborts. */

/** DuckDB ignores an interrupt before a statement has begun, so the interrupt is repeated. */
const REPEAT_MS = 20

/**
 * Does the work on the connection. Interrupts it when the signal aborts, and rejects with the signal's reason
 * once the work has stopped, even if it has succeeded.
 */
export async function interruptible<T>(
  connection: { interrupt(): void },
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

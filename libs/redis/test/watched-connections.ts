/** Connections of a test, what they tell of trouble, and a script that they run. */
import type { SluiceError } from '@sluice/contracts/errors'
import { expect } from 'vitest'
import { connectRedis, redisScript, type RedisConnection } from '../src/redis-connection.ts'

/** The scripts of the limits do this: look at the server, read and write. */
export const SCRIPT = redisScript(`
redis.call('INFO', 'server')
return redis.call('INCR', KEYS[1])`)
const TIMEOUT_MS = 400

export class WatchedConnections {
  /** The refusals that were reported, in order; null for "all is well". */
  readonly told: (string | null)[] = []
  readonly #opened: RedisConnection[] = []

  connect(url: string, silenceMs = 10_000): RedisConnection {
    const onTrouble = (trouble: SluiceError | null) => this.told.push(trouble?.message ?? null)
    const connection = connectRedis({ url, commandTimeoutMs: TIMEOUT_MS, silenceMs, onTrouble })
    this.#opened.push(connection)
    return connection
  }

  /** Closes all of them, and forgets what they told. */
  async close(): Promise<void> {
    for (const connection of this.#opened.splice(0)) await connection[Symbol.asyncDispose]()
    this.told.length = 0
  }
}

export const run = (connection: RedisConnection): Promise<unknown> => connection.run(SCRIPT, 'test', [])

/** Resolves once the script runs again. */
export async function runsAgain(connection: RedisConnection, timeout = 15_000): Promise<void> {
  await expect
    .poll(() => run(connection).catch(() => null), { timeout, interval: 20 })
    .toEqual(expect.any(Number))
}

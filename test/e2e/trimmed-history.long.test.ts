/**
 * Requests and attempts are trimmed some time after the end of their run, and no record that is still needed
 * goes with them.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { SqliteLog } from '@sluice/message-log/adapters/sqlite'
import { at, syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { hasKafka, onKafka } from './kafka-adapters.ts'
import { OneProcess, type Services } from './one-process.ts'

const DAY_MS = 86_400_000
const PARTITIONS = 2

let world: OneProcess
let day = 0

interface Kept {
  readonly requests: readonly number[]
  readonly attempts: readonly number[]
}

/** The runs that still have requests, and the runs that still have attempts. */
async function kept(): Promise<{
  readonly requests: readonly number[]
  readonly attempts: readonly number[]
}> {
  const { read, prefix } = world.log
  const { requests, attempts } = syncTopics(prefix, SYNC)
  const runsIn = async (topic: string): Promise<readonly number[]> => {
    const runs = new Set<number>()
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      for (const { record } of await read(at(topic, partition)))
        if (record?.name === 'sluice.Request' || record?.name === 'sluice.Attempt') runs.add(record.value.run)
    return [...runs].sort((a, b) => a - b)
  }
  return { requests: await runsIn(requests), attempts: await runsIn(attempts) }
}

function both(...runs: readonly number[]): Kept {
  return { requests: runs, attempts: runs }
}

/** On the log in a file, which may not grow beyond a size. */
function limitedHistorySuite(): void {
  describe('requests and attempts that take more room than the log may have', () => {
    afterEach(() => world[Symbol.asyncDispose]())

    it('go with the oldest runs, and rows that failed are tried again all the same', async () => {
      world = await OneProcess.open({ partitions: PARTITIONS })
      const { log } = world.log
      if (!(log instanceof SqliteLog)) throw new Error('the log is not the one in a file')
      const logRoom = { limitBytes: Infinity, log }
      day = 0
      world.api.statusOf = ({ url }) => (url.endsWith('/9') ? 500 : 200)
      world.start({ now: () => Date.now() + day * (DAY_MS / 12), logRoom })
      const run = async (first: number): Promise<string> => {
        day += 1
        await world.setRows([9, ...Array.from({ length: 300 }, (_, index) => 100 + first * 90 + index)])
        return (await world.run()).status
      }
      for (let first = 1; first <= 4; first += 1) expect(await run(first)).toBe('warning')
      expect(await kept()).toEqual(both(1, 2, 3, 4))
      logRoom.limitBytes = log.uncompactedBytes(new AbortController()) / 2
      expect(await run(5)).toBe('warning')
      const left = await kept()
      expect(left.requests).toEqual(left.attempts)
      expect(left.requests.length).toBeLessThan(4)
      expect(left.requests.slice(-2)).toEqual([4, 5])
      // A limit that no run keeps to leaves the last one that ended, and the one that ends.
      logRoom.limitBytes = 1
      expect(await run(6)).toBe('warning')
      expect(await kept()).toEqual(both(6))
      world.api.statusOf = () => 200
      expect(await run(7)).toBe('success')
      expect(world.api.ids.has(9)).toBe(true)
      expect(world.api.ids.size).toBe(301)
    })
  })
}

/** With the log of this name; null for the one in a file. */
function trimmedHistorySuite(log: string, adapters: typeof onKafka | null, lacking = false): void {
  describe(`requests and attempts of old runs, on ${log},`, () => {
    afterEach(() => world[Symbol.asyncDispose]())

    const start = (): Services => world.start({ now: () => Date.now() + day * DAY_MS })

    it.skipIf(lacking)('go a week after the end of their run, once a later run ends', async () => {
      world = await OneProcess.open({ partitions: PARTITIONS }, { adapters: adapters?.('trimmed') })
      const { api } = world
      const failing = new Set([9])
      api.statusOf = ({ url: sentTo }) => (failing.has(Number(sentTo.split('/').at(-1))) ? 500 : 200)
      let life = start()
      const run = async (on: number, rows: readonly number[]): Promise<string> => {
        day = on
        await world.setRows(rows)
        return (await world.run()).status
      }
      expect(await run(0, [1, 2, 3, 9])).toBe('warning')
      expect(await run(6, [2, 3, 4, 9])).toBe('warning')
      expect(await kept()).toEqual(both(1, 2))
      expect(await run(8, [2, 3, 5, 9])).toBe('warning')
      expect(await kept()).toEqual(both(2, 3))
      // Without a change, no later run writes an end that triggers trimming.
      failing.clear()
      expect(await run(9, [2, 3, 5, 9])).toBe('success')
      expect(await run(30, [2, 3, 5, 9])).toBe('success')
      expect(await kept()).toEqual(both(2, 3, 4))

      // Successors find where to go on, even after one that dies in the middle of its run.
      await life.kill()
      life = start()
      expect(await run(31, [2, 3, 6])).toBe('success')
      expect(await kept()).toEqual(both(6))
      day = 60
      await world.setRows([3, 6, 7])
      const answers = Promise.withResolvers<void>()
      api.gate = answers.promise
      const cut = await world.command()
      await world.until(cut, ({ complete }) => complete)
      const killing = life.kill()
      answers.resolve()
      await killing
      start()
      await world.allEnded()
      expect(await kept()).toEqual(both(7))
      expect([...api.ids].sort((a, b) => a - b)).toEqual([3, 6, 7])
      const removed = world.events().map(({ counts }) => counts['removed']?.delivered ?? 0)
      expect(removed.slice(0, 7)).toEqual([0, 1, 1, 0, 0, 2, 1])
    })
  })
}

trimmedHistorySuite('SQLite', null)
trimmedHistorySuite('Kafka', onKafka, !hasKafka)
limitedHistorySuite()

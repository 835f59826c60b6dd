/**
 * A row that left the model long ago also leaves `changes`. A state that is rebuilt from the topics then
 * knows as little of it as the state that lived on.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { at, isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { hasKafka, onKafka } from './kafka-adapters.ts'
import { OneProcess } from './one-process.ts'

const DAY_MS = 86_400_000
const PARTITIONS = 2

let world: OneProcess
let day = 0

/** Keys whose last record in a partition of `changes` is a tombstone. */
async function endedKeys(): Promise<readonly string[]> {
  const { read, prefix } = world.log
  const ended: string[] = []
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const last = new Map<string, boolean>()
    for (const { key, record } of await read(at(syncTopics(prefix, SYNC).changes, partition)))
      if (!isMarkerKey(key)) last.set(keyText(key), record === null)
    for (const [key, isEnded] of last) if (isEnded) ended.push(key)
  }
  return ended.toSorted()
}

/** With the log of this name; null for the one in a file. */
function goneKeysSuite(log: string, adapters: typeof onKafka | null, lacking = false): void {
  describe(`keys that are gone, on ${log},`, () => {
    afterEach(() => world[Symbol.asyncDispose]())

    it.skipIf(lacking)('get a tombstone after a week, with the next run that has changes', async () => {
      world = await OneProcess.open({ partitions: PARTITIONS }, { adapters: adapters?.('gone') })
      const { api, log } = world
      const failing = new Set<number>()
      api.statusOf = ({ url: sentTo }) => (failing.has(Number(sentTo.split('/').at(-1))) ? 500 : 200)
      const start = () => world.start({ now: () => Date.now() + day * DAY_MS })
      let life = start()
      const run = async (on: number, rows: readonly number[]): Promise<readonly string[]> => {
        day = on
        const before = api.requests.length
        await world.setRows(rows)
        expect((await world.run()).status).toBe(failing.size > 0 ? 'warning' : 'success')
        return api.requests.slice(before).toSorted()
      }
      await run(0, [1, 2, 3, 4])
      failing.add(4)
      expect(await run(0, [1])).toEqual(['DELETE /rows/2', 'DELETE /rows/3', 'DELETE /rows/4'])
      expect(await run(6, [1, 5])).toEqual(['DELETE /rows/4', 'PUT /rows/5'])
      expect(await endedKeys()).toEqual([])
      // The key comes back with the run that would have ended it, so it is not gone.
      expect(await run(8, [1, 3, 5])).toEqual(['DELETE /rows/4', 'PUT /rows/3'])
      expect(await endedKeys()).toEqual(['2'])
      failing.clear()
      expect(await run(9, [1, 2, 3])).toEqual(['DELETE /rows/4', 'DELETE /rows/5', 'PUT /rows/2'])
      expect(await endedKeys()).toEqual([])
      expect(await run(20, [1, 2, 3, 6])).toEqual(['PUT /rows/6'])
      expect(await endedKeys()).toEqual(['4', '5'])

      await life.kill()
      await rm(join(log.folder, 'state', `${SYNC}.duckdb`))
      life = start()
      expect(await run(21, [1, 2, 3, 6])).toEqual([])
      expect(await run(22, [1, 2, 5])).toEqual(['DELETE /rows/3', 'DELETE /rows/6', 'PUT /rows/5'])
      expect(await endedKeys()).toEqual(['4'])
      expect([...api.ids].toSorted((a, b) => a - b)).toEqual([1, 2, 5])
    })
  })
}

goneKeysSuite('SQLite', null)
goneKeysSuite('Kafka', onKafka, !hasKafka)

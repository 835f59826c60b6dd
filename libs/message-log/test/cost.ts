import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { ReadBatch } from '../src/port.ts'
import { record, until, Watched, type Fixture } from './fixture.ts'

const MiB = 1024 * 1024

/** Bytes of buffers that are really in use, after a full collection. */
function buffersInUse(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc(); gc()')
  return process.memoryUsage().arrayBuffers
}

export function costContract(fixture: Fixture): void {
  test('readers that nobody reads from hold no more than their buffers', async ({ signal }) => {
    const { log } = fixture
    const stalled = 8
    const topic = await fixture.topic({ signal }, { partitions: stalled + 1 })
    const value = 'x'.repeat(100_000)
    for (let i = 0; i < 16; i += 1) {
      const batch = [0, 1, 2, 3, 4].map(k => record(`${i}-${k}`, value))
      for (let partition = 0; partition <= stalled; partition += 1) {
        await log.append({ topic, partition }, batch, { signal })
      }
    }
    const before = buffersInUse()
    const readings: { reading: AsyncIterator<ReadBatch>; batch: IteratorResult<ReadBatch> }[] = []
    for (let partition = 0; partition < stalled; partition += 1) {
      const reading = log
        .read({ topic, partition }, { signal, from: 0, bufferBytes: MiB })
        [Symbol.asyncIterator]()
      readings.push({ reading, batch: await reading.next() })
    }
    // Another reader goes through its whole partition meanwhile, which gives the stalled ones every chance to
    // read ahead.
    let bytes = 0
    for (let round = 0; round < 5; round += 1) {
      for await (const batch of log.read({ topic, partition: stalled }, { signal, from: 0, to: 80 })) {
        for (const read of batch.records) bytes += read.value?.length ?? 0
      }
    }
    expect(bytes).toBe(5 * 80 * value.length)
    // Each partition has 8 MB. Its reader may hold one batch handed out, one full buffer, and one answer of
    // the log on its way.
    const held = buffersInUse() - before
    expect(held).toBeLessThan(stalled * 3 * MiB)
    for (const { reading, batch } of readings) {
      expect(batch.done).toBe(false)
      await reading.return?.()
    }
  })

  test('fifty idle memberships and readers cost next to no CPU', async ({ signal }) => {
    const { log } = fixture
    const topic = await fixture.topic({ signal })
    const changes = new Notifier()
    const members = await Promise.all(
      Array.from(
        { length: 50 },
        async () => new Watched(await log.join(fixture.name('group'), [topic], { signal }), changes),
      ),
    )
    await until(changes, { signal }, () => members.every(member => member.owned.length === 1))
    const idle = new AbortController()
    const readings = members.map(async () => {
      for await (const _ of log.read({ topic, partition: 0 }, { signal: idle.signal, from: 0 })) void _
    })
    // Only time makes them idle. The test measures the CPU time meanwhile, not the duration.
    await sleep(1000, { signal })
    const measureMs = 3000
    const start = process.cpuUsage()
    await sleep(measureMs, { signal })
    const { user, system } = process.cpuUsage(start)
    idle.abort()
    await Promise.all(readings)
    await Promise.all(members.map(member => member[Symbol.asyncDispose]()))
    expect((user + system) / 1000 / measureMs).toBeLessThan(0.08)
  })
}

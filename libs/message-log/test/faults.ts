import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import type { MessageLog } from '../src/port.ts'
import {
  codeOf,
  isShared,
  keyOf,
  keysIn,
  record,
  until,
  Watched,
  type Faults,
  type Fixture,
  type Signalled,
} from './fixture.ts'
import { pump } from './writers.ts'

/** Tests failing connections, through a proxy with real sockets. */
export function faultContract(fixture: Fixture): void {
  /**
   * Registers a test with the faults, and a log whose connections they hit. When the test starts and ends,
   * the proxy passes everything.
   */
  const faulty = (
    name: string,
    body: (faults: Faults, log: MessageLog, options: Signalled) => Promise<void>,
  ) =>
    test(name, { timeout: 120_000 }, async ({ signal }) => {
      const { faults } = fixture
      const log = await faults.open()
      try {
        await body(faults, log, { signal })
      } finally {
        await faults.proxy.set({ kind: 'pass' })
        await log[Symbol.asyncDispose]()
      }
    })

  faulty(
    'an answer that never comes kills the writer, and no acknowledged record is missing',
    async (faults, log, options) => {
      const target = await fixture.partition(options)
      const id = fixture.name('writer')
      await using writer = await log.openWriter(id, options)
      const pipeline = pump(writer, target, { ...options, underWay: 3 })
      await pipeline.acknowledged(20)
      await faults.proxy.set({ kind: 'swallow' })
      await faults.proxy.swallowed()
      const { codes, acknowledged } = await pipeline.ended
      expect(codes[0]).toBe('unreachable')
      for (const code of codes) expect(['unreachable', 'writer-dead']).toContain(code)
      expect(writer.state).toBe('dead')
      await faults.proxy.set({ kind: 'pass' })
      expect(await codeOf(writer.append(target, [record('later')], options))).toBe('writer-dead')
      await expectGaplessPrefix(fixture, { ...options, target, id, acknowledged })
    },
  )

  faulty(
    'whenever the connection is cut, the acknowledged records are a gapless prefix',
    async (faults, log, options) => {
      for (let round = 0; round < 4; round += 1) {
        const target = await fixture.partition(options)
        const id = fixture.name('writer')
        await using writer = await log.openWriter(id, options)
        const pipeline = pump(writer, target, { ...options, underWay: 4 })
        let acknowledged: number[] | null = null
        for (let count = 5 + round * 7; acknowledged === null; count += 20) {
          // A writer may survive a cut if it knows the outcome of its appends. In the end the next writer
          // fences it.
          const ended = await Promise.race([
            pipeline.acknowledged(count).catch(() => {}),
            pipeline.ended.then(result => result),
          ])
          if (ended !== undefined) acknowledged = ended.acknowledged
          else if (count < 80) faults.proxy.cut()
          else {
            await using successor = await fixture.log.openWriter(id, options)
            await successor.append(target, [record('between')], options)
            acknowledged = (await pipeline.ended).acknowledged
          }
        }
        await expectGaplessPrefix(fixture, { ...options, target, id, acknowledged })
      }
    },
  )

  faulty('a reader survives cuts without a gap or a repetition', async (faults, log, options) => {
    const target = await fixture.partition(options)
    const count = 300
    const reading = (async () => {
      const keys: string[] = []
      for await (const batch of log.read(target, { ...options, from: 0, bufferBytes: 2000 })) {
        keys.push(...batch.records.map(keyOf))
        if (keys.length >= count) return keys
      }
      return keys
    })()
    for (let i = 0; i < count; i += 1) {
      await fixture.log.append(target, [record(`${i}`, 'v'.repeat(100))], options)
      if (i % 60 === 30) faults.proxy.cut()
    }
    expect(await reading).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
  })

  faulty('after an outage every method of the log works again', async (faults, log, options) => {
    const target = await fixture.partition(options)
    await log.append(target, [record('before')], options)
    const reading = (async () => {
      const keys: string[] = []
      for await (const batch of log.read(target, { ...options, from: 0 })) {
        keys.push(...batch.records.map(keyOf))
        if (keys.includes('after')) return keys
      }
      return keys
    })()
    await faults.proxy.set({ kind: 'refuse' })
    const codes = await Promise.all([
      codeOf(log.offsets(target, options)),
      codeOf(log.append(target, [record('during')], options)),
      codeOf(log.partitionsOf(target.topic, options)),
    ])
    expect(codes).toEqual(['unreachable', 'unreachable', 'unreachable'])
    await faults.proxy.set({ kind: 'pass' })
    await eventually(options, () => log.offsets(target, options))
    await eventually(options, () => log.append(target, [record('after')], options))
    await using writer = await log.openWriter(fixture.name('writer'), options)
    await writer.append(target, [record('writer')], options)
    const keys = await reading
    expect(keys[0]).toBe('before')
    expect(keys).toContain('after')
  })

  faulty(
    'a member that stops answering loses its partitions to the others within ten seconds',
    async (faults, log, options) => {
      const topic = await fixture.topic(options, { partitions: 4 })
      const group = fixture.name('group')
      const changes = new Notifier()
      const silent = new Watched(await log.join(group, [topic], options), changes)
      await using other = new Watched(await fixture.log.join(group, [topic], options), changes)
      await until(changes, options, () => isShared([silent, other], 4))
      const [lost] = silent.owned
      await faults.proxy.set({ kind: 'refuse' })
      const since = performance.now()
      await until(changes, options, () => other.owned.length === 4)
      expect(performance.now() - since).toBeLessThan(11_000)
      expect(silent.membership.lastHeartbeatMs).toBeLessThan(since + 1000)
      const target = { topic, partition: Number(lost?.split('/').at(-1)) }
      const commit = await codeOf(silent.membership.commit(target, 1, options))
      expect([{ resolved: false }, 'unreachable']).toContainEqual(commit)
      // Once it is connected again, it either has a share or knows that it is no longer a member.
      await faults.proxy.set({ kind: 'pass' })
      const back = until(changes, options, () => isShared([silent, other], 4))
      const ended = await Promise.race([back.then(() => null), silent.ended])
      if (ended !== null) expect(ended).toMatchObject({ code: 'unreachable' })
      await silent[Symbol.asyncDispose]()
    },
  )

  faulty('a member survives a short cut', async (faults, log, options) => {
    const topic = await fixture.topic(options, { partitions: 2 })
    const changes = new Notifier()
    await using member = new Watched(await log.join(fixture.name('group'), [topic], options), changes)
    await until(changes, options, () => member.owned.length === 2)
    for (let i = 1; i <= 3; i += 1) {
      faults.proxy.cut()
      await eventually(options, async () => {
        const accepted = await member.membership.commit({ topic, partition: 0 }, i, options)
        if (!accepted) throw new Error('not accepted yet')
      })
    }
    expect(member.owned).toHaveLength(2)
  })
}

/** Retries until it succeeds, for calls that only have to work in the end. */
async function eventually(options: Signalled, attempt: () => Promise<unknown>): Promise<void> {
  for (;;) {
    options.signal.throwIfAborted()
    const failure = await attempt().then(
      () => null,
      (error: unknown) => ({ error }),
    )
    if (failure === null) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/**
 * Lets a successor take over, and checks the log. The pump's acknowledged records lie before the successor's
 * marker, in order and once. Only records that followed them without an acknowledgement may be there too.
 */
async function expectGaplessPrefix(
  fixture: Fixture,
  options: Signalled & { target: { topic: string; partition: number }; id: string; acknowledged: number[] },
): Promise<void> {
  const { target, id, acknowledged, signal } = options
  await using successor = await fixture.log.openWriter(id, { signal })
  await successor.append(target, [record('takeover')], { signal })
  const keys = (await keysIn(fixture.log, target, { signal })).filter(key => key !== 'between')
  expect(keys.pop()).toBe('takeover')
  expect(keys).toEqual(keys.map((_, i) => `r-${i}`))
  expect(acknowledged).toEqual(acknowledged.map((_, i) => i))
  expect(keys.length).toBeGreaterThanOrEqual(acknowledged.length)
}

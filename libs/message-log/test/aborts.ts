import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { nextTurn } from '@sluice/flow/sleep'
import type { FencedWriter, Membership, MessageLog, TopicPartition } from '../src/port.ts'
import { codeOf, keysIn, record, records, until, Watched, type Fixture, type Signalled } from './fixture.ts'

const reason = new Error('the caller has had enough')

interface Things {
  readonly log: MessageLog
  readonly target: TopicPartition
  readonly writer: FencedWriter
  readonly membership: Membership
  readonly name: string
}

type Wait = (things: Things, signal: AbortSignal) => Promise<unknown>

async function drain(iterable: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of iterable) void _
}

/** Every method that can wait, except reading without an end, which an abort ends without an error. */
const waits: Record<string, Wait> = {
  ensureTopics: ({ log, name }, signal) =>
    log.ensureTopics([{ topic: name, partitions: 1, cleanup: 'delete' }], { signal }),
  deleteTopics: ({ log, name }, signal) => log.deleteTopics([name], { signal }),
  partitionsOf: ({ log, target }, signal) => log.partitionsOf(target.topic, { signal }),
  openWriter: ({ log, name }, signal) => log.openWriter(name, { signal }),
  append: ({ log, target }, signal) => log.append(target, [record('aborted')], { signal }),
  'append of a writer': ({ writer, target }, signal) =>
    writer.append(target, [record('aborted')], { signal }),
  offsets: ({ log, target }, signal) => log.offsets(target, { signal }),
  'read to an offset': ({ log, target }, signal) => drain(log.read(target, { signal, from: 0, to: 1000 })),
  readBackwards: ({ log, target }, signal) => drain(log.readBackwards(target, { signal })),
  trim: ({ log, target }, signal) => log.trim(target, 1, { signal }),
  join: ({ log, target, name }, signal) => log.join(name, [target.topic], { signal }),
  'commit of a membership': ({ membership, target }, signal) => membership.commit(target, 1, { signal }),
  committed: ({ log, target, name }, signal) => log.committed(name, target.topic, { signal }),
  groupStates: ({ log, name }, signal) => log.groupStates([name], { signal }),
}

async function things(fixture: Fixture, log: MessageLog, options: Signalled) {
  const target = await fixture.partition(options)
  await fixture.log.append(target, records('r', 10), options)
  const writer = await log.openWriter(fixture.name('writer'), options)
  await writer.append(target, [record('open')], options)
  const changes = new Notifier()
  const watched = new Watched(await log.join(fixture.name('group'), [target.topic], options), changes)
  await until(changes, options, () => watched.owned.length === 1)
  const { membership } = watched
  return { log, target, writer, membership, watched, name: fixture.name('aborted') }
}

export function abortContract(fixture: Fixture): void {
  test('a call whose signal is already aborted rejects with its reason and does nothing', async ({
    signal,
  }) => {
    const all = await things(fixture, fixture.log, { signal })
    for (const [name, wait] of Object.entries(waits)) {
      await expect(wait(all, AbortSignal.abort(reason)), name).rejects.toBe(reason)
    }
    await drain(fixture.log.read(all.target, { signal: AbortSignal.abort(reason), from: 0 }))
    expect(await fixture.log.partitionsOf(all.name, { signal })).toBeNull()
    expect(await fixture.log.offsets(all.target, { signal })).toEqual({ low: 0, end: 11 })
    // The writer's append failed, so no later append may succeed.
    expect(all.writer.state).toBe('dead')
    expect(await codeOf(all.writer.append(all.target, [record('later')], { signal }))).toBe('writer-dead')
    await all.watched[Symbol.asyncDispose]()
    await all.writer[Symbol.asyncDispose]()
  })

  test('a reader that waits for new records ends without an error', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await fixture.log.append(target, records('r', 3), { signal })
    const controller = new AbortController()
    const seen: number[] = []
    for await (const batch of fixture.log.read(target, { signal: controller.signal, from: 0 })) {
      seen.push(...batch.records.map(({ offset }) => offset))
      // The abort comes in a later turn, when the reader is surely waiting.
      if (seen.length === 3) setImmediate(() => setImmediate(() => controller.abort(reason)))
    }
    expect(seen).toEqual([0, 1, 2])
  })

  test('a reader that waits for its last records rejects with the reason', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await fixture.log.append(target, records('r', 3), { signal })
    const controller = new AbortController()
    const reading = (async () => {
      for await (const batch of fixture.log.read(target, { signal: controller.signal, from: 0, to: 5 })) {
        if (batch.nextOffset === 3) setImmediate(() => setImmediate(() => controller.abort(reason)))
      }
    })()
    await expect(reading).rejects.toBe(reason)
  })

  test('an aborted reader frees its partition for the next', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    for (let i = 0; i < 20; i += 1) {
      const controller = new AbortController()
      const reading = drain(fixture.log.read(target, { signal: controller.signal, from: i }))
      await fixture.log.append(target, [record(`${i}`)], { signal })
      controller.abort(reason)
      await reading
    }
    expect(await keysIn(fixture.log, target, { signal })).toHaveLength(20)
  })

  test('an append aborted under way leaves the writer dead and acknowledged records in place', async ({
    signal,
  }) => {
    const target = await fixture.partition({ signal })
    for (let round = 0; round < 10; round += 1) {
      const id = fixture.name('writer')
      await using writer = await fixture.log.openWriter(id, { signal })
      const controller = new AbortController()
      const first = writer.append(target, [record(`${round}:0`)], { signal })
      const second = codeOf(writer.append(target, [record(`${round}:1`)], { signal: controller.signal }))
      const third = codeOf(writer.append(target, [record(`${round}:2`)], { signal }))
      for (let turn = 0; turn < round % 4; turn += 1) await nextTurn()
      controller.abort(reason)
      const aborted = (await second) === reason
      if (aborted) expect(writer.state).toBe('dead')
      await first
      if (aborted) expect(await third).toBe('writer-dead')
      await using successor = await fixture.log.openWriter(id, { signal })
      await successor.append(target, [record(`${round}:takeover`)], { signal })
      const keys = (await keysIn(fixture.log, target, { signal })).filter(key => key.startsWith(`${round}:`))
      // Whether or not the aborted append arrived, there is no gap before the takeover and nothing after it.
      const whole = [`${round}:0`, `${round}:1`, `${round}:2`]
      expect(keys).toEqual([...whole.slice(0, keys.length - 1), `${round}:takeover`])
      if (!aborted) expect(keys).toHaveLength(4)
    }
  })

  test('an aborted join leaves no member behind', async ({ signal }) => {
    const topic = await fixture.topic({ signal }, { partitions: 2 })
    const group = fixture.name('group')
    for (let turns = 0; turns < 3; turns += 1) {
      const controller = new AbortController()
      const joining = fixture.log.join(group, [topic], { signal: controller.signal })
      for (let turn = 0; turn < turns; turn += 1) await nextTurn()
      controller.abort(reason)
      await joining.then(
        membership => membership.leave(),
        (error: unknown) => expect(error).toBe(reason),
      )
    }
    const changes = new Notifier()
    await using member = new Watched(await fixture.log.join(group, [topic], { signal }), changes)
    await until(changes, { signal }, () => member.owned.length === 2)
  })
}

/** Tests aborts while a remote log does not answer. */
export function silenceContract(fixture: Fixture): void {
  test('aborting during a wait for a log that does not answer rejects at once', async ({ signal }) => {
    const { faults } = fixture
    for (const [name, wait] of Object.entries(waits)) {
      await using log = await faults.open()
      const all = await things(fixture, log, { signal })
      await faults.proxy.set({ kind: 'swallow' })
      try {
        const controller = new AbortController()
        const waiting = expect(wait(all, controller.signal), name).rejects.toBe(reason)
        const silent = faults.proxy.swallowed()
        // Some calls need no answer for now, but have to wait all the same.
        await Promise.race([silent, ...Array.from({ length: 1 }, () => turns(50))])
        const aborted = performance.now()
        controller.abort(reason)
        await waiting
        expect(performance.now() - aborted, name).toBeLessThan(500)
      } finally {
        await faults.proxy.set({ kind: 'pass' })
        faults.proxy.cut()
      }
      await all.watched[Symbol.asyncDispose]()
      await all.writer[Symbol.asyncDispose]()
    }
  })
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn()
}

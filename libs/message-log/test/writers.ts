import { expect, test } from 'vitest'
import type { FencedWriter, NewRecord, RecordBlock, TopicPartition } from '../src/port.ts'
import { codeOf, keyOf, keysIn, readAll, record, records, type Fixture, type Signalled } from './fixture.ts'

export function writerContract(fixture: Fixture): void {
  fencing(fixture)
  dying(fixture)
  blocks(fixture)
}

function blocks(fixture: Fixture): void {
  test('a block of records is read as its records, in turns with others and of any size', async ({
    signal,
  }) => {
    const target = await fixture.partition({ signal })
    await using writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    const sizes = [0, 1, 63, 64, 5000, 130_000, 8000]
    const small = sizes.map((size, i) => record(`small-${i}`, 's'.repeat(size)))
    const large = Array.from({ length: 12 }, (_, i) => record(`large-${i}`, 'l'.repeat(99_990 + i)))
    const appended = await Promise.all([
      writer.append(target, [record('first')], { signal }),
      writer.append(target, blockOf(small), { signal }),
      writer.append(target, blockOf(large), { signal }),
      writer.append(target, blockOf([record('last', '')]), { signal }),
    ])
    const wanted = [record('first'), ...small, ...large, record('last', '')]
    const found = await readAll(fixture.log, target, { signal })
    expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 8, 20])
    expect(found.map(keyOf)).toEqual(wanted.map(({ key }) => Buffer.from(key).toString()))
    expect(
      found.every((read, i) => Buffer.from(read.value ?? []).equals(wanted[i]?.value ?? Buffer.of())),
    ).toBe(true)
  })

  test('an append of a block without records is refused', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await using writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    expect(await codeOf(writer.append(target, blockOf([]), { signal }))).toBe('internal')
  })
}

function blockOf(records: readonly NewRecord[]): RecordBlock {
  const parts = records.flatMap(({ key, value }) => [key, value ?? new Uint8Array()])
  return { bytes: Buffer.concat(parts), lengths: Uint32Array.from(parts, ({ length }) => length) }
}

function fencing(fixture: Fixture): void {
  test('a successor ends its predecessor in a partition with its first record there, not before', async ({
    signal,
  }) => {
    const { topic, id, first, second } = await twoWriters(fixture, { signal })
    await using _first = first
    await using _second = second
    const [p0, p1] = [0, 1].map(partition => ({ topic, partition }))
    if (p0 === undefined || p1 === undefined) throw new Error('not there')
    await first.append(p0, [record('first')], { signal })
    expect(second.id).toBe(id)
    await first.append(p0, [record('while the second is only open')], { signal })
    await second.append(p0, [record('takeover')], { signal })
    await first.append(p1, [record('where the second has not written')], { signal })
    expect(await codeOf(first.append(p0, [record('late')], { signal }))).toBe('fenced')
    expect(first.state).toBe('dead')
    await second.append(p0, [record('second')], { signal })
    expect(await keysIn(fixture.log, p0, { signal })).toEqual([
      'first',
      'while the second is only open',
      'takeover',
      'second',
    ])
    expect(await keysIn(fixture.log, p1, { signal })).toEqual(['where the second has not written'])
  })

  test('a fenced writer is also dead in partitions where no successor has written', async ({ signal }) => {
    const { topic, first, second } = await twoWriters(fixture, { signal })
    await using _first = first
    await using _second = second
    await first.append({ topic, partition: 0 }, [record('a')], { signal })
    await second.append({ topic, partition: 0 }, [record('takeover')], { signal })
    expect(await codeOf(first.append({ topic, partition: 0 }, [record('b')], { signal }))).toBe('fenced')
    expect(await codeOf(first.append({ topic, partition: 1 }, [record('c')], { signal }))).toBe('writer-dead')
    expect(await keysIn(fixture.log, { topic, partition: 1 }, { signal })).toEqual([])
  })

  test('only the last of many successors can write', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const id = fixture.name('writer')
    const writers: FencedWriter[] = []
    for (let i = 0; i < 4; i += 1) {
      const writer = await fixture.log.openWriter(id, { signal })
      await writer.append(target, [record(`takeover-${i}`)], { signal })
      writers.push(writer)
    }
    const last = writers.pop()
    for (const writer of writers) {
      expect(await codeOf(writer.append(target, [record('late')], { signal }))).toBe('fenced')
    }
    await last?.append(target, [record('last')], { signal })
    const keys = await keysIn(fixture.log, target, { signal })
    expect(keys).toEqual(['takeover-0', 'takeover-1', 'takeover-2', 'takeover-3', 'last'])
    await last?.[Symbol.asyncDispose]()
  })

  test('writers of other names and appends without a writer fence no writer', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await using one = await fixture.log.openWriter(fixture.name('writer'), { signal })
    await using two = await fixture.log.openWriter(fixture.name('writer'), { signal })
    for (let i = 0; i < 3; i += 1) {
      await one.append(target, [record(`one-${i}`)], { signal })
      await two.append(target, [record(`two-${i}`)], { signal })
      await fixture.log.append(target, [record(`none-${i}`)], { signal })
    }
    expect(await keysIn(fixture.log, target, { signal })).toHaveLength(9)
  })

  test('if a successor cuts a large append, the log has a prefix of it', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const id = fixture.name('writer')
    await using first = await fixture.log.openWriter(id, { signal })
    const large = records('r', 30_000, 1_000)
    const cut = codeOf(first.append(target, large, { signal }))
    await using second = await fixture.log.openWriter(id, { signal })
    // Wait until a part is there, or all of it where an append of any size is atomic.
    for await (const { records: some } of fixture.log.read(target, { signal, from: 0 }))
      if (some.length > 0) break
    const { baseOffset } = await second.append(target, [record('takeover')], { signal })
    const outcome = await cut
    await second.append(target, [record('end')], { signal })
    const keys = await keysIn(fixture.log, target, { signal })
    expect(keys).toEqual([...large.slice(0, baseOffset).map(keyText), 'takeover', 'end'])
    expect(outcome).toEqual(baseOffset === large.length ? { resolved: { baseOffset: 0 } } : 'fenced')
  })

  test('every append that a predecessor has under way lies before the takeover or is refused', async ({
    signal,
  }) => {
    const target = await fixture.partition({ signal })
    await using other = await fixture.harness.open()
    const id = fixture.name('writer')
    await using first = await fixture.log.openWriter(id, { signal })
    const pipeline = pump(first, target, { signal, underWay: 5 })
    await pipeline.acknowledged(40)
    await using second = await other.openWriter(id, { signal })
    const { baseOffset } = await second.append(target, [record('takeover')], { signal })
    const { codes, acknowledged } = await pipeline.ended
    await second.append(target, [record('end')], { signal })

    const keys = await keysIn(fixture.log, target, { signal })
    const before = keys.slice(0, keys.indexOf('takeover'))
    expect(baseOffset).toBe(before.length)
    expect(keys.slice(before.length)).toEqual(['takeover', 'end'])
    expect(before).toEqual(before.map((_, i) => `r-${i}`))
    expect(before.length).toBeGreaterThanOrEqual(acknowledged.length)
    expect(acknowledged).toEqual(acknowledged.map((_, i) => i))
    expect(codes[0]).toBe('fenced')
    for (const code of codes) expect(['fenced', 'writer-dead']).toContain(code)
    expect(first.state).toBe('dead')
  })
}

function dying(fixture: Fixture): void {
  test('after a refused append no other append succeeds, not even those under way', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { maxRecordBytes: 1_000_000 })
    await using writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    const appends = [
      writer.append(target, [record('a')], { signal }),
      writer.append(target, [record('too large', 'x'.repeat(3_000_000))], { signal }),
      writer.append(target, [record('b')], { signal }),
      writer.append(target, [record('c')], { signal }),
    ]
    const outcomes = await Promise.all(appends.map(codeOf))
    expect(outcomes[0]).toEqual({ resolved: { baseOffset: 0 } })
    expect(outcomes.slice(2)).toEqual(['writer-dead', 'writer-dead'])
    expect(writer.state).toBe('dead')
    expect(await codeOf(writer.append(target, [record('d')], { signal }))).toBe('writer-dead')
    expect(await keysIn(fixture.log, target, { signal })).toEqual(['a'])
  })

  test('a name whose writer died can be opened again and goes on', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { maxRecordBytes: 1_000_000 })
    const id = fixture.name('writer')
    for (let round = 0; round < 3; round += 1) {
      const writer = await fixture.log.openWriter(id, { signal })
      expect(writer.state).toBe('open')
      await writer.append(target, [record(`${round}`)], { signal })
      await codeOf(writer.append(target, [record('large', 'x'.repeat(3_000_000))], { signal }))
      await writer[Symbol.asyncDispose]()
    }
    expect(await keysIn(fixture.log, target, { signal })).toEqual(['0', '1', '2'])
  })

  test('closing a writer waits for appends under way and accepts no more', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    const appends = Array.from({ length: 20 }, (_, i) =>
      writer.append(target, records(`${i}`, 10), { signal }),
    )
    await writer[Symbol.asyncDispose]()
    expect(writer.state).toBe('closed')
    expect(await fixture.log.offsets(target, { signal })).toEqual({ low: 0, end: 200 })
    await Promise.all(appends)
    expect(await codeOf(writer.append(target, [record('late')], { signal }))).toBe('writer-dead')
    await writer[Symbol.asyncDispose]()
    expect(await keysIn(fixture.log, target, { signal })).toHaveLength(200)
  })
}

function keyText({ key }: NewRecord): string {
  return Buffer.from(key).toString()
}

async function twoWriters(fixture: Fixture, options: Signalled) {
  const topic = await fixture.topic(options, { partitions: 2 })
  const id = fixture.name('writer')
  const first = await fixture.log.openWriter(id, options)
  const second = await fixture.log.openWriter(id, options)
  return { topic, id, first, second }
}

export interface Pump {
  /** Resolves once that many appends are acknowledged. Rejects if the pump ends before. */
  acknowledged(count: number): Promise<void>
  /**
   * Ends after the first refusal. Has the codes of all refusals and the numbers of the acknowledged appends,
   * both in order.
   */
  readonly ended: Promise<{ codes: unknown[]; acknowledged: number[] }>
}

/** Appends r-0, r-1, …, each in a batch of its own and several under way at once, until one is refused. */
export function pump(
  writer: FencedWriter,
  target: TopicPartition,
  options: Signalled & { underWay: number },
): Pump {
  const { signal, underWay } = options
  const acknowledged: number[] = []
  const codes: unknown[] = []
  let next = 0
  const waiting: { count: number; resolve: () => void; reject: (error: Error) => void }[] = []
  const lane = async () => {
    while (codes.length === 0) {
      const number = next++
      const outcome = await codeOf(writer.append(target, [record(`r-${number}`)], { signal }))
      if (typeof outcome !== 'object' || outcome === null || !('resolved' in outcome)) codes.push(outcome)
      else acknowledged.push(number)
      for (const wait of waiting) if (acknowledged.length >= wait.count) wait.resolve()
    }
  }
  const ended = Promise.all(Array.from({ length: underWay }, lane)).then(() => {
    for (const wait of waiting)
      wait.reject(new Error(`refused after ${acknowledged.length}: ${String(codes[0])}`))
    return { codes, acknowledged: acknowledged.toSorted((a, b) => a - b) }
  })
  return {
    acknowledged: count =>
      new Promise((resolve, reject) => {
        if (acknowledged.length >= count) resolve()
        else waiting.push({ count, resolve, reject })
      }),
    ended,
  }
}

import { expect, test } from 'vitest'
import { nextTurn } from '@sluice/flow/sleep'
import { ATOMIC_BYTES, RECORD_OVERHEAD_BYTES, type ReadBatch } from '../src/port.ts'
import {
  codeOf,
  codeOfFirstStep,
  follow,
  keyOf,
  keysIn,
  readAll,
  record,
  records,
  valueOf,
  type Fixture,
} from './fixture.ts'

export function readingContract(fixture: Fixture): void {
  appending(fixture)
  readingForwards(fixture)
  readingBackwards(fixture)
  trimming(fixture)
}

function appending(fixture: Fixture): void {
  test('a signature stays beside its record, and records without one have none', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const signature = Uint8Array.from({ length: 32 }, (_, i) => i * 8)
    const signed = [
      { ...record('a'), signature },
      record('b'),
      { ...record('c', null), signature },
      { ...record('d'), signature: Buffer.alloc(0) },
    ]
    await fixture.log.append(target, signed, { signal })
    const read = await readAll(fixture.log, target, { signal })
    expect(read.map(each => [keyOf(each), each.signature && [...each.signature]])).toEqual([
      ['a', [...signature]],
      ['b', undefined],
      ['c', [...signature]],
      ['d', []],
    ])
    expect(read.map(({ value }) => value === null)).toEqual([false, false, true, false])
  })

  test('a record comes back byte by byte, with its offset and the time of appending', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    const written = [
      { key: bytes, value: bytes },
      { key: Buffer.from('empty'), value: new Uint8Array() },
      { key: Buffer.from('gone'), value: null },
      { key: Buffer.from('Grüße ☂'), value: Buffer.alloc(100_000, 7) },
      { key: new Uint8Array(), value: Buffer.from('a key of no bytes') },
    ]
    const before = Date.now()
    await fixture.log.append(target, [record('first')], { signal })
    const { baseOffset } = await fixture.log.append(target, written, { signal })
    const read = (await readAll(fixture.log, target, { signal })).slice(1)
    expect(read.map(({ offset }) => offset)).toEqual(written.map((_, i) => baseOffset + i))
    for (const [i, { key, value, timestamp }] of read.entries()) {
      expect(Buffer.from(key).equals(written[i]?.key ?? Buffer.of(1, 2))).toBe(true)
      expect(value === null ? null : Buffer.from(value).toString('latin1')).toBe(
        written[i]?.value === null ? null : Buffer.from(written[i]?.value ?? []).toString('latin1'),
      )
      expect(timestamp).toBeGreaterThanOrEqual(before - 1000)
      expect(timestamp).toBeLessThanOrEqual(Date.now() + 1000)
    }
  })

  test('appends keep the order of the calls with hundreds under way', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await using writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    const appends = Array.from({ length: 300 }, (_, i) =>
      writer.append(target, records(`${i}`, 1 + (i % 7), 10 + ((i * 37) % 900)), { signal }),
    )
    const bases = (await Promise.all(appends)).map(({ baseOffset }) => baseOffset)
    const wanted = bases.flatMap((_, i) => Array.from({ length: 1 + (i % 7) }, (_, k) => `${i}-${k}`))
    const read = await readAll(fixture.log, target, { signal })
    expect(read.map(keyOf)).toEqual(wanted)
    for (const [i, base] of bases.entries()) expect(keyOf(read[base] ?? fail())).toBe(`${i}-0`)
  })

  test('partitions have offsets of their own and never mix', async ({ signal }) => {
    const topic = await fixture.topic({ signal }, { partitions: 4 })
    await using writer = await fixture.log.openWriter(fixture.name('writer'), { signal })
    const partitions = [0, 1, 2, 3]
    await Promise.all(
      Array.from({ length: 80 }, (_, i) =>
        writer.append({ topic, partition: i % 4 }, [record(`${i % 4}:${Math.floor(i / 4)}`)], { signal }),
      ),
    )
    for (const partition of partitions) {
      const keys = await keysIn(fixture.log, { topic, partition }, { signal })
      expect(keys).toEqual(Array.from({ length: 20 }, (_, i) => `${partition}:${i}`))
    }
  })

  test('readers never see batches of several writers mixed, or a part of a batch', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await using other = await fixture.harness.open()
    const size = 50
    let done = false
    const seen = new Set<number>()
    const watching = (async () => {
      for (; !done; await nextTurn()) seen.add((await other.offsets(target, { signal })).end % size)
    })()
    const writers = [fixture.log, other].flatMap(log => [log, log])
    await Promise.all(
      writers.map(async (log, w) => {
        for (let i = 0; i < 10; i += 1) await log.append(target, records(`${w}.${i}`, size, 200), { signal })
      }),
    )
    done = true
    await watching
    const keys = await keysIn(fixture.log, target, { signal })
    expect(keys).toHaveLength(writers.length * 10 * size)
    for (let i = 0; i < keys.length; i += size) {
      const [name] = (keys[i] ?? '').split('-')
      expect(keys.slice(i, i + size)).toEqual(Array.from({ length: size }, (_, k) => `${name ?? ''}-${k}`))
    }
    expect([...seen]).toEqual([0])
  })

  test('readers never see a part of the largest atomic append, whether its records are large or tiny', async ({
    signal,
  }) => {
    const target = await fixture.partition({ signal })
    await using other = await fixture.harness.open()
    const count = Math.floor(ATOMIC_BYTES / (RECORD_OVERHEAD_BYTES + 1))
    const bytes = Math.floor(ATOMIC_BYTES / 100) - RECORD_OVERHEAD_BYTES - 1
    const tiny = Array.from({ length: count }, () => record('t', ''))
    const large = Array.from({ length: 100 }, () => record('l', 'x'.repeat(bytes)))
    const ends = new Set<number>()
    let done = false
    const watching = (async () => {
      for (; !done; await nextTurn()) ends.add((await other.offsets(target, { signal })).end)
    })()
    const appended = [0]
    for (const each of [tiny, large, tiny, large]) {
      const { baseOffset } = await fixture.log.append(target, each, { signal })
      appended.push(baseOffset + each.length)
    }
    done = true
    await watching
    expect([...ends].filter(end => !appended.includes(end))).toEqual([])
  })

  test('a record that is too large is refused as such, with all appends after it', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { maxRecordBytes: 1_000_000 })
    await fixture.log.append(target, [record('fits', 'x'.repeat(999_996))], { signal })
    const batch = [record('small'), record('large', 'x'.repeat(3_000_000)), record('small too')]
    expect(await codeOf(fixture.log.append(target, batch, { signal }))).toBe('too-large')
    const keys = await keysIn(fixture.log, target, { signal })
    expect(keys.filter(key => key !== 'small')).toEqual(['fits'])
    await fixture.log.append(target, [record('after')], { signal })
    expect(await keysIn(fixture.log, target, { signal })).toEqual([...keys, 'after'])
  })

  test('one call appends in order much more than a broker accepts in one batch', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const many = records('many', 6_000, 1_000)
    const wide = records('wide', 5, 990_000)
    const tiny = Array.from({ length: 60_000 }, (_, i) => record(`${i}`, ''))
    let at = 0
    for (const each of [many, wide, tiny]) {
      expect(await fixture.log.append(target, each, { signal })).toEqual({ baseOffset: at })
      at += each.length
    }
    const found = await keysIn(fixture.log, target, { signal })
    expect(found).toEqual([...many, ...wide, ...tiny].map(({ key }) => Buffer.from(key).toString()))
  })

  test('an append of no records is refused', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    expect(await codeOf(fixture.log.append(target, [], { signal }))).toBe('internal')
  })
}

function readingForwards(fixture: Fixture): void {
  test('many records of one append come in parts, and reading may go on behind each of them', async ({
    signal,
  }) => {
    const target = await fixture.partition({ signal })
    const written = records('many', 3_000, 100)
    await fixture.log.append(target, [...records('few', 2, 10)], { signal })
    await fixture.log.append(target, written, { signal })
    const { low, end } = await fixture.log.offsets(target, { signal })
    const parts: ReadBatch[] = []
    for await (const batch of fixture.log.read(target, { signal, from: low, to: end })) parts.push(batch)
    expect(Math.max(...parts.map(part => part.records.length))).toBeLessThan(2_000)
    expect(parts.slice(0, -1).some(({ isPart }) => isPart)).toBe(true)
    expect(parts.at(-1)?.isPart ?? false).toBe(false)
    const keys = parts.map(part => part.records.map(keyOf))
    expect(keys.flat()).toEqual(['few-0', 'few-1', ...written.map(({ key }) => Buffer.from(key).toString())])
    for (const [index, { nextOffset }] of parts.entries()) {
      const rest: string[] = []
      if (nextOffset < end)
        for await (const batch of fixture.log.read(target, { signal, from: nextOffset, to: end }))
          rest.push(...batch.records.map(keyOf))
      expect(rest).toEqual(keys.slice(index + 1).flat())
    }
  })

  test('a reader may change its buffers, and no other reader sees that', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await fixture.log.append(target, records('r', 10), { signal })
    for (const { key, value } of await readAll(fixture.log, target, { signal })) {
      key.fill(0)
      value?.fill(0)
    }
    const again = await readAll(fixture.log, target, { signal })
    expect(again.map(keyOf)).toEqual(records('r', 10).map(({ key }) => Buffer.from(key).toString()))
  })

  test('reading begins in the middle of a batch and ends before `to`', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    for (const name of ['a', 'b', 'c']) await fixture.log.append(target, records(name, 10), { signal })
    const some = await readAll(fixture.log, target, { signal, from: 7, to: 23 })
    expect(some.map(({ offset }) => offset)).toEqual(Array.from({ length: 16 }, (_, i) => 7 + i))
    expect(await readAll(fixture.log, target, { signal, from: 12, to: 12 })).toEqual([])
    expect(await readAll(fixture.log, target, { signal, from: 30, to: 30 })).toEqual([])
  })

  test('a follower gets the records that are appended while it waits', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await using other = await fixture.harness.open()
    const reading = fixture.log.read(target, { signal, from: 0 })[Symbol.asyncIterator]()
    for (let i = 0; i < 5; i += 1) {
      const step = reading.next()
      await other.append(target, [record(`${i}`)], { signal })
      const { done, value } = await step
      if (done === true) return fail()
      expect(value.records.map(keyOf)).toEqual([`${i}`])
      expect(value.nextOffset).toBe(i + 1)
    }
    await reading.return?.()
  })

  test('reading up to an offset that does not exist yet waits for it', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    await fixture.log.append(target, records('a', 3), { signal })
    const found: string[] = []
    const reading = (async () => {
      for await (const batch of fixture.log.read(target, { signal, from: 1, to: 5 })) {
        found.push(...batch.records.map(keyOf))
        if (found.length === 2) await fixture.log.append(target, records('b', 4), { signal })
      }
    })()
    await reading
    expect(found).toEqual(['a-1', 'a-2', 'b-0', 'b-1'])
  })

  test('a slow reader delays no other partition, and goes on from its own position', async ({ signal }) => {
    const topic = await fixture.topic({ signal }, { partitions: 2 })
    const [slow, fast] = [0, 1].map(partition => ({ topic, partition }))
    if (slow === undefined || fast === undefined) return fail()
    for (const target of [slow, fast]) {
      for (let i = 0; i < 20; i += 1) await fixture.log.append(target, records(`${i}`, 50, 1000), { signal })
    }
    const reading = fixture.log.read(slow, { signal, from: 0, bufferBytes: 100_000 })[Symbol.asyncIterator]()
    const first = await reading.next()
    for (let round = 0; round < 3; round += 1) {
      expect(await follow(fixture.log, fast, { signal, count: 1000 })).toHaveLength(1000)
    }
    const offsets: number[] = []
    for (let step = first; step.done !== true; step = await reading.next()) {
      offsets.push(...step.value.records.map(({ offset }) => offset))
      if (offsets.length === 1000) break
    }
    expect(offsets).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    await reading.return?.()
  })

  test('readers of one partition have positions of their own', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    for (let i = 0; i < 10; i += 1) await fixture.log.append(target, records(`${i}`, 10), { signal })
    const found = await Promise.all(
      [0, 15, 50, 99].map(from => follow(fixture.log, target, { signal, from, count: 100 - from })),
    )
    expect(found.map(read => read[0]?.offset)).toEqual([0, 15, 50, 99])
    expect(found.map(read => read.at(-1)?.offset)).toEqual([99, 99, 99, 99])
  })

  test('a batch larger than the buffer is read all the same', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const values = [400_000, 10, 400_000].map((bytes, i) => record(`${i}`, 'x'.repeat(bytes)))
    for (const value of values) await fixture.log.append(target, [value], { signal })
    const read = await readAll(fixture.log, target, { signal, bufferBytes: 1 })
    expect(read.map(found => valueOf(found)?.length)).toEqual([400_000, 10, 400_000])
  })

  test('an offset above the end or below the low one is refused at the first step', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    await log.append(target, records('r', 10), { signal })
    await log.trim(target, 4, { signal })
    for (const from of [-1, 0, 3, 11, 1_000_000]) {
      expect(await codeOfFirstStep(log.read(target, { signal, from }))).toBe('offset-out-of-range')
      expect(await codeOfFirstStep(log.read(target, { signal, from, to: 10 }))).toBe('offset-out-of-range')
    }
    expect((await follow(log, target, { signal, from: 4, count: 6 }))[0]?.offset).toBe(4)
    const waiting = follow(log, target, { signal, from: 10, count: 1 })
    await log.append(target, [record('next')], { signal })
    expect((await waiting).map(keyOf)).toEqual(['next'])
  })
}

function readingBackwards(fixture: Fixture): void {
  test('reading backwards gives the newest first, down to the low offset', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    for (let i = 0; i < 30; i += 1) await log.append(target, records(`${i}`, 1 + (i % 3)), { signal })
    await log.trim(target, 5, { signal })
    const offsets: number[] = []
    for await (const read of log.readBackwards(target, { signal })) offsets.push(read.offset)
    expect(offsets).toEqual(Array.from({ length: 55 }, (_, i) => 59 - i))
    const before: number[] = []
    for await (const read of log.readBackwards(target, { signal, before: 20 })) {
      before.push(read.offset)
      if (before.length === 3) break
    }
    expect(before).toEqual([19, 18, 17])
  })

  test('reading backwards ends at the low offset, even if trimming raises it meanwhile', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    for (let i = 0; i < 100; i += 1) await log.append(target, [record(`${i}`)], { signal })
    const offsets: number[] = []
    for await (const read of log.readBackwards(target, { signal })) {
      offsets.push(read.offset)
      if (offsets.length === 1) await log.trim(target, 40, { signal })
    }
    expect(offsets).toEqual(Array.from({ length: 60 }, (_, i) => 99 - i))
    const trimmedAway = log.readBackwards(target, { signal })
    for await (const { offset } of trimmedAway) if (offset === 99) await log.trim(target, 100, { signal })
  })

  test('reading backwards from an empty partition or below the low offset gives nothing', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    expect((await log.readBackwards(target, { signal })[Symbol.asyncIterator]().next()).done).toBe(true)
    await log.append(target, records('r', 4), { signal })
    await log.trim(target, 4, { signal })
    expect((await log.readBackwards(target, { signal })[Symbol.asyncIterator]().next()).done).toBe(true)
    const below = log.readBackwards(target, { signal, before: 2 })
    expect((await below[Symbol.asyncIterator]().next()).done).toBe(true)
  })
}

function trimming(fixture: Fixture): void {
  test('trimming drops the records below the offset and no other', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    await log.append(target, records('a', 10), { signal })
    await log.trim(target, 6, { signal })
    expect(await log.offsets(target, { signal })).toEqual({ low: 6, end: 10 })
    for (const before of [3, 6, 0]) {
      await log.trim(target, before, { signal })
      expect(await log.offsets(target, { signal })).toEqual({ low: 6, end: 10 })
    }
    expect(await keysIn(log, target, { signal })).toEqual(['a-6', 'a-7', 'a-8', 'a-9'])
    expect(await codeOf(log.trim(target, 11, { signal }))).toBe('offset-out-of-range')
  })

  test('a partition trimmed to its end is empty and goes on at the next offset', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    await log.append(target, records('a', 10), { signal })
    await log.trim(target, 10, { signal })
    expect(await log.offsets(target, { signal })).toEqual({ low: 10, end: 10 })
    expect(await readAll(log, target, { signal })).toEqual([])
    expect(await log.append(target, [record('b')], { signal })).toEqual({ baseOffset: 10 })
    expect(await keysIn(log, target, { signal })).toEqual(['b'])
  })

  test('a reader whose position was trimmed away gets an error, instead of skipping ahead', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    for (let i = 0; i < 10; i += 1) await log.append(target, records(`${i}`, 20, 10_000), { signal })
    const reading = log.read(target, { signal, from: 0, bufferBytes: 100_000 })[Symbol.asyncIterator]()
    await reading.next()
    await log.trim(target, 200, { signal })
    await log.append(target, [record('after')], { signal })
    const offsets: number[] = []
    const outcome = await codeOf(
      (async () => {
        for (let step = await reading.next(); step.done !== true; step = await reading.next()) {
          offsets.push(...step.value.records.map(({ offset }) => offset))
        }
      })(),
    )
    expect(outcome).toBe('offset-out-of-range')
    // The reader may still give the records that it had ready, but never those behind a gap.
    for (const [i, offset] of offsets.entries()) if (i > 0) expect(offset).toBe((offsets[i - 1] ?? 0) + 1)
    expect(offsets).not.toContain(200)
  })
}

function fail(): never {
  throw new Error('not there')
}

import { expect, test } from 'vitest'
import type { MessageLog, TopicPartition } from '../src/port.ts'
import {
  follow,
  FILLER_KEY,
  keyOf,
  keysIn,
  readAll,
  record,
  valueOf,
  type Fixture,
  type Signalled,
} from './fixture.ts'

/**
 * Writes the keys of each round in batches of their own, so that whole batches are superseded, at the end of
 * the log too.
 */
async function writeRounds(log: MessageLog, target: TopicPartition, options: Signalled & { rounds: number }) {
  const { signal, rounds } = options
  await using writer = await log.openWriter(`${target.topic}.writer`, { signal })
  for (let round = 0; round < rounds; round += 1) {
    const batches = [0, 1, 2, 3].map(b =>
      Array.from({ length: 25 }, (_, i) => record(`key-${b * 25 + i}`, `${round}`)),
    )
    await Promise.all(batches.map(batch => writer.append(target, batch, { signal })))
  }
}

export function compactionContract(fixture: Fixture): void {
  keeping(fixture)
  readingAcrossGaps(fixture)
}

function keeping(fixture: Fixture): void {
  test('compaction keeps the signature of a record', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    const signature = Buffer.alloc(32, 9)
    await log.append(target, [record('key-1'), { ...record('signed'), signature }], { signal })
    await writeRounds(log, target, { signal, rounds: 6 })
    await fixture.harness.compactNow(target.topic)
    const [first] = await readAll(log, target, { signal })
    expect([first?.offset, Buffer.from(first?.signature ?? [])]).toEqual([1, signature])
  })

  test('compaction keeps the newest record of each key where it was, and drops the older', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await writeRounds(log, target, { signal, rounds: 6 })
    await log.append(target, [record('key-3', null)], { signal })
    await fixture.harness.compactNow(target.topic)
    const found = await readAll(log, target, { signal })
    const kept = found.filter(({ offset }) => offset >= 500)
    expect(kept.map(keyOf).slice(0, 4)).toEqual(['key-0', 'key-1', 'key-2', 'key-4'])
    expect(kept).toHaveLength(100)
    expect(new Set(kept.map(keyOf)).size).toBe(100)
    expect(kept.at(-1)).toMatchObject({ offset: 600, value: null })
    expect(found).toHaveLength(100)
  })

  test('repeated compaction, with and without new records, keeps the records that have to stay', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    for (let round = 0; round < 3; round += 1) {
      await writeRounds(log, target, { signal, rounds: 2 })
      await log.append(target, [record(`only-${round}`)], { signal })
      await fixture.harness.compactNow(target.topic)
      await fixture.harness.compactNow(target.topic)
      const found = await readAll(log, target, { signal })
      expect(found.filter(read => keyOf(read).startsWith('only-')).map(keyOf)).toEqual(
        Array.from({ length: round + 1 }, (_, i) => `only-${i}`),
      )
      expect(found).toHaveLength(100 + round + 1)
    }
  })

  test('compaction spares records that are younger than the lag', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { cleanup: 'compact', compactionLagMs: 3_600_000 })
    await writeRounds(fixture.log, target, { signal, rounds: 3 })
    await fixture.harness.compactNow(target.topic)
    expect(await readAll(fixture.log, target, { signal })).toHaveLength(300)
  })

  test('compaction leaves topics that are trimmed, and other topics, alone', async ({ signal }) => {
    const compacted = await fixture.partition({ signal }, { cleanup: 'compact' })
    const others = [
      await fixture.partition({ signal }),
      await fixture.partition({ signal }, { cleanup: 'compact' }),
    ]
    for (const target of [compacted, ...others]) {
      await fixture.log.append(target, [record('a', '1'), record('a', '2')], { signal })
    }
    await fixture.harness.compactNow(compacted.topic)
    expect((await readAll(fixture.log, compacted, { signal })).map(valueOf)).toEqual(['2'])
    for (const target of others) {
      expect((await readAll(fixture.log, target, { signal })).map(valueOf)).toEqual(['1', '2'])
    }
  })

  test('every partition is compacted by itself', async ({ signal }) => {
    const topic = await fixture.topic({ signal }, { cleanup: 'compact', partitions: 3 })
    for (const partition of [0, 1, 2]) {
      const target = { topic, partition }
      for (let i = 0; i <= partition; i += 1) {
        await fixture.log.append(target, [record('same', `${i}`), record(`own-${i}`)], { signal })
      }
    }
    await fixture.harness.compactNow(topic)
    for (const partition of [0, 1, 2]) {
      const found = await readAll(fixture.log, { topic, partition }, { signal })
      expect(found.filter(read => keyOf(read) === 'same').map(valueOf)).toEqual([`${partition}`])
      expect(found).toHaveLength(partition + 2)
    }
  })
}

function readingAcrossGaps(fixture: Fixture): void {
  test('a log that is mostly gaps is read to its end, from anywhere and with any buffer', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await log.append(target, [record('lone')], { signal })
    await writeRounds(log, target, { signal, rounds: 8 })
    await log.append(target, [record('last')], { signal })
    await fixture.harness.compactNow(target.topic)
    const all = (await readAll(log, target, { signal })).map(({ offset }) => offset)
    expect(all).toEqual([0, ...Array.from({ length: 101 }, (_, i) => 701 + i)])
    for (const from of [1, 2, 26, 350, 700, 701, 720]) {
      const found = await readAll(log, target, {
        signal,
        from,
        bufferBytes: from % 2 === 0 ? 100 : 1_000_000,
      })
      expect(found.map(({ offset }) => offset)).toEqual(all.filter(offset => offset >= from))
    }
  })

  test('reading up to an offset ends where compaction has left nothing below it', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await log.append(target, [record('lone')], { signal })
    await writeRounds(log, target, { signal, rounds: 4 })
    await fixture.harness.compactNow(target.topic)
    // Offsets 1 to 300 are gone. Each of these ends lies in the gap, or within a batch of it.
    for (const to of [2, 26, 101, 200, 300, 301]) {
      expect((await readAll(log, target, { signal, from: 0, to })).map(keyOf)).toEqual(['lone'])
      expect(await readAll(log, target, { signal, from: 1, to })).toEqual([])
    }
  })

  test('a reader can go on from the position that another reading left in a gap', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await writeRounds(log, target, { signal, rounds: 4 })
    await fixture.harness.compactNow(target.topic)
    const { end } = await log.offsets(target, { signal })
    let position = 0
    const found: number[] = []
    for (let step = 0; position < end; step += 1) {
      expect(step).toBeLessThan(1000)
      for await (const batch of log.read(target, { signal, from: position, to: end, bufferBytes: 300 })) {
        found.push(...batch.records.filter(read => keyOf(read) !== FILLER_KEY).map(({ offset }) => offset))
        expect(batch.nextOffset).toBeGreaterThan(position)
        position = batch.nextOffset
        break
      }
    }
    expect(found).toEqual(Array.from({ length: 100 }, (_, i) => 300 + i))
  })

  test('compaction does not disturb a follower that waits at the end, and it gets the next records', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await writeRounds(log, target, { signal, rounds: 4 })
    const waiting = follow(log, target, { signal, from: 400, count: 1 })
    await fixture.harness.compactNow(target.topic)
    const { baseOffset } = await log.append(target, [record('next')], { signal })
    expect(await waiting).toMatchObject([{ offset: baseOffset }])
    const fromGap = await follow(log, target, { signal, from: 10, count: 101 })
    expect(fromGap.map(keyOf)).toContain('next')
  })

  test('reading backwards passes over gaps', async ({ signal }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await log.append(target, [record('lone')], { signal })
    await writeRounds(log, target, { signal, rounds: 5 })
    await fixture.harness.compactNow(target.topic)
    const backwards: number[] = []
    for await (const read of log.readBackwards(target, { signal })) {
      if (keyOf(read) !== FILLER_KEY) backwards.push(read.offset)
    }
    const forwards = (await readAll(log, target, { signal })).map(({ offset }) => offset)
    expect(backwards).toEqual(forwards.toReversed())
    expect(backwards).toHaveLength(101)
    const fromGap = log.readBackwards(target, { signal, before: 250 })[Symbol.asyncIterator]()
    expect((await fromGap.next()).value).toMatchObject({ offset: 0 })
    expect((await fromGap.next()).done).toBe(true)
  })

  test('offsets go on above the records that compaction has removed', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { cleanup: 'compact' })
    await writeRounds(fixture.log, target, { signal, rounds: 2 })
    await fixture.harness.compactNow(target.topic)
    await using other = await fixture.harness.open()
    const { end } = await other.offsets(target, { signal })
    expect(end).toBeGreaterThanOrEqual(200)
    expect(await other.append(target, [record('next')], { signal })).toEqual({ baseOffset: end })
    expect((await keysIn(other, target, { signal })).at(-1)).toBe('next')
  })
}

/** Taking partitions over, and what a reader makes of the records of owners that came one after the other. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { INCARNATION, sampleAttempt, sampleSlice, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { lastOwnRecord, readOwned, type Placed } from '@sluice/topics/owned-reader'
import { plainMarker, takeOver, type Ownership } from './take-over.ts'
import {
  at,
  isMarkerKey,
  markerKey,
  sliceKey,
  syncTopics,
  textKey,
  type StageName,
} from '@sluice/topics/topics'

const { signal } = new AbortController()
const ATTEMPTS = at(syncTopics(PREFIX, SYNC).attempts, 0)
const RETRY = at(syncTopics(PREFIX, SYNC).retry, 0)

describe('the owners of a partition', () => {
  let world: TestLog
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
  })
  afterEach(() => world[Symbol.asyncDispose]())

  function own(
    of: { stage?: StageName; incarnation?: string; log?: TestLog['log'] } = {},
  ): Promise<Ownership> {
    const { stage = 'attempts', incarnation = INCARNATION, log = world.log } = of
    const { io } = world
    const where = { sync: SYNC, partition: 0, targets: [ATTEMPTS, RETRY] }
    return takeOver({ log, io, prefix: PREFIX, stage, incarnation, ...where, signal })
  }

  /** A record that names its owner, as an attempt with this seq. */
  const attempt = (seq: number, owner: number, incarnation = INCARNATION) => ({
    key: textKey(`${seq}`),
    value: world.io.encode('Attempt', sampleAttempt({ seq, owner, incarnation })),
  })

  async function owned(stage: StageName = 'attempts', incarnation = INCARNATION): Promise<readonly Placed[]> {
    const { log, io } = world
    const { low, end } = await log.offsets(ATTEMPTS, { signal })
    const found: Placed[] = []
    const reading = { log, io, target: ATTEMPTS, incarnation, stage, from: low, to: end, signal }
    for await (const { records } of readOwned(reading)) found.push(...records)
    return found
  }
  const seqs = (found: readonly Placed[]) =>
    found.flatMap(({ record }) => (record?.name === 'sluice.Attempt' ? [record.value.seq] : []))
  const last = (incarnation = INCARNATION) => {
    const { log, io } = world
    return lastOwnRecord({ log, io, target: ATTEMPTS, incarnation, stage: 'attempts', signal })
  }

  /** The log as one that knows the writers, by offset, and that calls these bytes foreign. */
  function withWriters(writers: readonly string[]): TestLog['log'] {
    const named = <R extends { readonly offset: number }>(record: R): R & { writer?: string } =>
      writers[record.offset] === undefined ? record : { ...record, writer: writers[record.offset] ?? '' }
    const log = Object.create(world.log) as TestLog['log']
    log.offsets = world.log.offsets.bind(world.log)
    log.read = async function* (target, options) {
      for await (const batch of world.log.read(target, options))
        yield { ...batch, records: batch.records.map(named) }
    }
    log.readBackwards = async function* (target, options) {
      for await (const record of world.log.readBackwards(target, options)) yield named(record)
    }
    return log
  }

  it('are told from a program that wrote beside them, whatever the place that is read from', async () => {
    const marker = world.io.encode('Marker', plainMarker('takeover', INCARNATION, -1))
    const takeover = { key: markerKey('takeover', 'attempts/s/0'), value: marker }
    const junk = { key: textKey('x'), value: new Uint8Array([1, 2]) }
    await world.append(ATTEMPTS, [takeover, attempt(1, 0), junk, attempt(2, 0), junk])
    const read = async (writers: readonly string[], from: number): Promise<readonly number[]> => {
      const reading = {
        io: world.io,
        target: ATTEMPTS,
        incarnation: INCARNATION,
        stage: 'attempts',
        signal,
      } as const
      const log = withWriters(writers)
      const found: Placed[] = []
      for await (const { records } of readOwned({ ...reading, log, from, to: 5 })) found.push(...records)
      const newest = await lastOwnRecord({ ...reading, log })
      return [...seqs(found), ...seqs(newest === null ? [] : [newest])]
    }
    expect(await read(['A', 'A', 'B', 'A', 'B'], 0)).toEqual([1, 2, 2])
    expect(await read(['A', 'A', 'B', 'A', 'B'], 2)).toEqual([2, 2])
    for (const writers of [['A', 'A', 'A', 'A', 'A'], ['A', 'A', 'B', 'A', 'A'], []])
      await expect(read(writers, 0)).rejects.toMatchObject({ code: 'corrupt' })
    // A marker that cannot be read may be that of an owner whose schema is lost.
    await world.append(ATTEMPTS, [{ ...takeover, value: new Uint8Array([1, 2]) }])
    await expect(read(['A', 'A', 'B', 'A', 'B', 'C'], 0)).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('are not told from another program where records take the place of one another', async () => {
    await world.append(RETRY, [{ key: textKey('row'), value: new Uint8Array([1, 2]) }])
    const reading = { io: world.io, target: RETRY, incarnation: INCARNATION, stage: 'attempts' } as const
    const all = readOwned({ ...reading, log: withWriters(['B']), from: 0, to: 1, signal })
    await expect(all.next()).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('tell where a record stands that cannot be read, and what to do about it', async () => {
    await world.append(ATTEMPTS, [attempt(0, -1), { key: textKey('x'), value: new Uint8Array([1, 2]) }])
    const told = expect.objectContaining({
      code: 'corrupt',
      message: expect.stringMatching(
        new RegExp(`Partition 0 of the topic ${ATTEMPTS.topic} has at offset 1 .*\`sluice reset\``, 's'),
      ) as string,
    }) as Error
    await expect(owned()).rejects.toEqual(told)
    await expect(last()).rejects.toEqual(told)
  })

  describe('that take it over', () => {
    it('have a marker of their own in every partition, whose offsets their records name', async () => {
      await world.append(ATTEMPTS, [attempt(0, -1)])
      await using owner = await own()
      expect([owner.markerOffset(ATTEMPTS), owner.markerOffset(RETRY)]).toEqual([1, 0])
      expect((await world.read(RETRY))[0]?.record).toMatchObject({
        name: 'sluice.Marker',
        value: { kind: 'takeover', incarnation: INCARNATION, owner: -1 },
      })
    })

    it('shut their predecessor out of it', async () => {
      await using first = await own()
      await using second = await own()
      const late = first.append(ATTEMPTS, [attempt(1, first.markerOffset(ATTEMPTS))], { signal })
      await expect(late).rejects.toMatchObject({ code: 'fenced' })
      await second.append(ATTEMPTS, [attempt(2, second.markerOffset(ATTEMPTS))], { signal })
      expect(seqs(await world.read(ATTEMPTS))).toEqual([2])
    })

    it('know nothing of partitions that they did not take', async () => {
      await using owner = await own()
      expect(() => owner.markerOffset(at('another', 0))).toThrow('nobody took over another/0')
    })

    it('own nothing if the log refuses a marker, and may try again', async () => {
      const log = watchedLog(world.log, async ({ topic }) => {
        if (topic === RETRY.topic) throw outage()
      })
      await expect(own({ log })).rejects.toMatchObject({ code: 'unreachable' })
      await using owner = await own()
      await owner.append(ATTEMPTS, [attempt(0, owner.markerOffset(ATTEMPTS))], { signal })
    })
  })

  describe('to a reader', () => {
    it('are passed over once a later one has its marker there, though a log that forgot its fence took their records', async () => {
      await using first = await own()
      await first.append(ATTEMPTS, [attempt(0, first.markerOffset(ATTEMPTS))], { signal })
      await using second = await own()
      await world.append(ATTEMPTS, [attempt(1, first.markerOffset(ATTEMPTS))])
      await second.append(ATTEMPTS, [attempt(2, second.markerOffset(ATTEMPTS))], { signal })
      expect(seqs(await owned())).toEqual([0, 2])
    })

    it('are passed over for good once a record names a later one, though its marker was compacted away', async () => {
      await world.append(ATTEMPTS, [attempt(0, 3), attempt(1, 7), attempt(2, 3), attempt(3, 7)])
      expect(seqs(await owned())).toEqual([0, 1, 3])
    })

    it('are passed over where they are of another incarnation, their markers too', async () => {
      await using before = await own({ incarnation: 'before' })
      await before.append(ATTEMPTS, [attempt(0, before.markerOffset(ATTEMPTS), 'before')], { signal })
      await using now = await own()
      await now.append(ATTEMPTS, [attempt(1, now.markerOffset(ATTEMPTS))], { signal })
      await world.append(ATTEMPTS, [attempt(2, 1000, 'before'), attempt(3, now.markerOffset(ATTEMPTS))])
      expect(seqs(await owned())).toEqual([1, 3])
      expect(seqs(await owned('attempts', 'before'))).toEqual([0, 2])
    })

    it('are passed over with the ends of slices that they wrote late, or in another incarnation', async () => {
      const slice = (number: number, owner: number, incarnation = INCARNATION) => ({
        key: sliceKey(0),
        value: world.io.encode('Slice', sampleSlice({ slice: number, owner, incarnation })),
      })
      await using first = await own()
      await first.append(ATTEMPTS, [slice(1, first.markerOffset(ATTEMPTS))], { signal })
      await using second = await own()
      await second.append(ATTEMPTS, [slice(2, second.markerOffset(ATTEMPTS))], { signal })
      await world.append(ATTEMPTS, [slice(3, first.markerOffset(ATTEMPTS)), slice(4, 1000, 'before')])
      const slices = (await owned()).flatMap(({ record }) =>
        record?.name === 'sluice.Slice' ? [record.value.slice] : [],
      )
      expect(slices).toEqual([1, 2])
      expect(isMarkerKey(sliceKey(0))).toBe(true)
    })

    it('of another stage end nobody, since two stages write some topics', async () => {
      await using delivery = await own()
      await using detector = await own({ stage: 'changes' })
      await delivery.append(ATTEMPTS, [attempt(0, delivery.markerOffset(ATTEMPTS))], { signal })
      expect(detector.markerOffset(ATTEMPTS)).toBeGreaterThan(delivery.markerOffset(ATTEMPTS))
      expect(seqs(await owned())).toEqual([0])
    })

    it('may leave tombstones, which name nobody and always count', async () => {
      await using owner = await own()
      await owner.append(ATTEMPTS, [{ key: textKey('gone'), value: null }], { signal })
      expect((await owned()).at(-1)).toMatchObject({ record: null })
    })
  })

  describe('that look for where they stopped', () => {
    it('find nothing in a partition that holds nothing but takeovers', async () => {
      expect(await last()).toBeNull()
      await using _owner = await own()
      expect(await last()).toBeNull()
    })

    it('find the last record, past takeovers, tombstones and other incarnations', async () => {
      await using first = await own()
      await first.append(ATTEMPTS, [attempt(5, first.markerOffset(ATTEMPTS))], { signal })
      await using _second = await own()
      await world.append(ATTEMPTS, [{ key: textKey('gone'), value: null }, attempt(6, 2, 'before')])
      expect(await last()).toMatchObject({ offset: 1, record: { value: { seq: 5 } } })
    })

    it('find markers of runs, which are no takeovers', async () => {
      await using owner = await own()
      const marker = plainMarker('release', INCARNATION, owner.markerOffset(ATTEMPTS))
      const record = { key: markerKey('release', '0'), value: world.io.encode('Marker', marker) }
      await owner.append(ATTEMPTS, [attempt(5, owner.markerOffset(ATTEMPTS)), record], { signal })
      expect(await last()).toMatchObject({ record: { name: 'sluice.Marker', value: { kind: 'release' } } })
    })
  })
})

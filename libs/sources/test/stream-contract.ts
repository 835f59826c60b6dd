/** The suite that every source that streams passes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StreamPosition } from '@sluice/contracts/records'
import type { ModelSpec } from '@sluice/contracts/resources'
import { randomFrom } from '@sluice/testkit/random'
import type {
  StreamBreak,
  StreamBreakReason,
  StreamEntry,
  StreamReader,
  StreamSlice,
  StreamSource,
} from '../src/stream-port.ts'
import { queryFile } from './query-file.ts'

export interface WrittenRow {
  readonly id: number
  readonly name: string | null
  readonly note: string | null
}

/** One change of a row; a null row is gone. */
export interface Written {
  readonly id: number
  readonly row: Omit<WrittenRow, 'id'> | null
}

/** The suite needs this from an adapter. */
export interface StreamHarness {
  /** Makes an empty table of `id`, the primary key, `name` and `note`, whose changes the source streams. */
  make(): Promise<StreamedTable>
}

export interface StreamedTable extends AsyncDisposable {
  readonly model: ModelSpec
  /** Opens the source, as another process would. */
  open(): StreamSource
  /** Commits these changes, in their order. Resolves once the log has them. */
  write(...changes: readonly Written[]): Promise<void>
  /** The events after which only a comparison goes on. An event is missing if the log cannot show it. */
  readonly breaks: { readonly [why in StreamBreakReason]?: () => Promise<void> }
  /** Gives the row of one id another id. Absent if a key never changes. */
  readonly changeKey?: (from: number, to: WrittenRow) => Promise<void>
  /** Changes the name of a row by an entry that lacks its note. Absent if no entry lacks values. */
  readonly writeLacking?: (id: number, name: string) => Promise<void>
  /** Writes the newest entries once more. Absent if a log never does. */
  readonly repeat?: () => Promise<void>
  /** Writes a record that cannot be read. Absent if there is no such thing. */
  readonly writeUnreadable?: () => Promise<void>
  /** Breaks all connections of this process. */
  readonly disconnect?: () => Promise<void>
}

const { signal } = new AbortController()
/** A slice ends when the log has no more. */
export const BOUNDS = { rows: 5_000, bytes: 4_000_000, waitMs: 5, signal }

export function rowOf(id: number, name: string | null = `n${id}`, note: string | null = null): Written {
  return { id, row: { name, note } }
}

/** Opens a reader. Fails on a break. */
export async function readerOf(
  source: StreamSource,
  model: ModelSpec,
  from: StreamPosition | null,
): Promise<StreamReader> {
  const opened = await source.open(model, from, { signal })
  if (opened.kind === 'break') throw new Error(`the source broke off: ${opened.why}, ${opened.detail}`)
  return opened.reader
}

/** Reads the next slice. Fails on a break. */
export async function sliceOf(
  reader: StreamReader,
  bounds: Partial<typeof BOUNDS> = {},
): Promise<StreamSlice> {
  const next = await reader.next({ ...BOUNDS, ...bounds })
  if (next.kind === 'break') throw new Error(`the reader broke off: ${next.why}, ${next.detail}`)
  return next
}

/** Reads until this many entries have come, or a break comes. */
export async function entriesOf(reader: StreamReader, count: number, bounds: Partial<typeof BOUNDS> = {}) {
  const entries: StreamEntry[] = []
  let position: StreamPosition | null = null
  while (entries.length < count) {
    const slice = await sliceOf(reader, bounds)
    entries.push(...slice.entries)
    position = slice.position
  }
  return { entries, position }
}

/** Reads up to a break. */
export async function untilBreak(
  source: StreamSource,
  model: ModelSpec,
  from: StreamPosition,
): Promise<{ readonly broken: StreamBreak; readonly entries: readonly StreamEntry[] }> {
  const opened = await source.open(model, from, { signal })
  if (opened.kind === 'break') return { broken: opened, entries: [] }
  await using reader = opened.reader
  const entries: StreamEntry[] = []
  for (;;) {
    const next = await reader.next(BOUNDS)
    if (next.kind === 'break') return { broken: next, entries }
    entries.push(...next.entries)
  }
}

/** The keys and names of entries, in their order. */
function said(entries: readonly StreamEntry[]): readonly (readonly [string, unknown])[] {
  return entries.map(({ key, row }) => [key, row === null ? null : row['name']])
}

/** Each key in the order of its entries. */
function byKey(entries: readonly StreamEntry[]): ReadonlyMap<string, readonly StreamEntry[]> {
  return Map.groupBy(entries, ({ key }) => key)
}

function notShown(what: Showable): Error {
  return new Error(`the log does not show ${what}, and the suite was not told so`)
}

/** Some logs cannot show these. */
type Showable = 'changeKey' | 'writeLacking' | 'repeat' | 'writeUnreadable' | 'disconnect' | StreamBreakReason

/** `cannot`: what the log cannot show. It has no tests of that. */
export function streamContract(
  name: string,
  harness: () => StreamHarness,
  { cannot = [] }: { readonly cannot?: readonly Showable[] } = {},
): void {
  const canShow = (what: Showable): boolean => !cannot.includes(what)
  describe(`${name} as a source that streams`, { timeout: 120_000 }, () => {
    let folder = ''
    let table: StreamedTable
    let source: StreamSource
    let files = 0
    const newFile = () => join(folder, `extract-${(files += 1)}.duckdb`)
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-stream-'))
      table = await harness().make()
      source = table.open()
    })
    afterEach(async () => {
      await source[Symbol.asyncDispose]()
      await table[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    })

    const compare = async (reader: StreamReader) => {
      const file = newFile()
      const compared = await reader.compare({ file, signal })
      const rows = await queryFile(file, 'SELECT id::INTEGER AS id, name, note FROM rows ORDER BY id')
      rmSync(file, { force: true })
      return { ...compared, rows }
    }
    /** Opens a reader behind a comparison with these rows. */
    const begin = async (...rows: readonly Written[]) => {
      await table.write(...(rows.length === 0 ? [rowOf(1)] : rows))
      const reader = await readerOf(source, table.model, null)
      return { reader, ...(await compare(reader)) }
    }

    it('names the columns of the model, and those that an entry may lack', async () => {
      await table.write(rowOf(1))
      const { columns, mayLack } = await source.describe(table.model, { signal })
      const names = columns.map(column => column.name)
      expect([...names].sort()).toEqual(['id', 'name', 'note'])
      for (const column of mayLack) expect(names).toContain(column)
    })

    it('breaks off before the first comparison, and goes on behind it', async () => {
      await table.write(rowOf(1), rowOf(2), { id: 2, row: null }, rowOf(3, 'Cy', 'x'))
      await using reader = await readerOf(source, table.model, null)
      for (let again = 0; again < 2; again += 1)
        expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'first' })
      const { rows, rowCount, position } = await compare(reader)
      expect(rows).toEqual([
        { id: 1, name: 'n1', note: null },
        { id: 3, name: 'Cy', note: 'x' },
      ])
      expect(rowCount).toBe(2)
      await table.write(rowOf(3, 'Cyd'), { id: 1, row: null })
      const { entries } = await entriesOf(reader, 2)
      expect(new Set(said(entries))).toEqual(
        new Set([
          ['3', 'Cyd'],
          ['1', null],
        ]),
      )
      await using other = table.open()
      await using later = await readerOf(other, table.model, position)
      expect(new Set(said((await entriesOf(later, 2)).entries))).toEqual(new Set(said(entries)))
    })

    it('gives each change of a key, in order, with its values and its time', async () => {
      const { reader } = await begin()
      await using _ = reader
      const before = Date.now() - 60_000
      await table.write(rowOf(7, 'a', 'x'), rowOf(7, 'b', 'x'))
      await table.write({ id: 7, row: null }, rowOf(7, null, 'y'))
      const { entries } = await entriesOf(reader, 4)
      expect(entries.map(({ key }) => key)).toEqual(['7', '7', '7', '7'])
      expect(entries.map(({ row }) => row)).toEqual([
        { id: 7, name: 'a', note: 'x' },
        { id: 7, name: 'b', note: 'x' },
        null,
        { id: 7, name: null, note: 'y' },
      ])
      for (const { committedAt } of entries) expect(committedAt ?? before).toBeGreaterThanOrEqual(before)
    })

    it('gives orders that rise with each entry of a key, and no two entries share one', async () => {
      const { reader } = await begin()
      await using _ = reader
      for (let round = 0; round < 3; round += 1)
        await table.write(...[1, 2, 3, 4, 5].map(id => rowOf(id, `round ${round}`)))
      const { entries } = await entriesOf(reader, 15)
      const places = entries.map(({ order, partition }) => `${partition} ${order}`)
      expect(new Set(places).size).toBe(15)
      for (const each of byKey(entries).values()) {
        const orders = each.map(({ order }) => order)
        expect(orders).toEqual([...orders].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
      }
    })

    it('goes on at the position of a slice', async () => {
      const { reader, position } = await begin()
      await table.write(...[1, 2, 3, 4, 5, 6].map(id => rowOf(id, 'new')))
      const all: StreamEntry[] = []
      let from = position
      await reader[Symbol.asyncDispose]()
      while (all.length < 6) {
        await using other = table.open()
        await using next = await readerOf(other, table.model, from)
        const slice = await sliceOf(next, { rows: 2 })
        expect(slice.entries.length).toBeLessThanOrEqual(2)
        all.push(...slice.entries)
        from = slice.position
      }
      expect(all.map(({ key }) => key).sort()).toEqual(['1', '2', '3', '4', '5', '6'])
      expect(from.epoch).toBe(position.epoch)
    })

    it('keeps the epoch and the model of the position', async () => {
      const { position, reader } = await begin()
      await reader[Symbol.asyncDispose]()
      const from = { ...position, epoch: 7, model: 'abc' }
      await using later = await readerOf(source, table.model, from)
      await table.write(rowOf(1, 'new'))
      expect((await sliceOf(later)).position).toMatchObject({ epoch: 7, model: 'abc' })
      expect((await compare(later)).position.epoch).toBe(7)
    })

    it('leaves out what is not above the highest order of its partition', async () => {
      const { reader, position } = await begin()
      await table.write(rowOf(1, 'a'), rowOf(2, 'b'), rowOf(3, 'c'))
      const { position: later } = await entriesOf(reader, 3)
      await reader[Symbol.asyncDispose]()
      const partitions = position.partitions.map(place => ({
        ...place,
        highest: later?.partitions.find(each => each.partition === place.partition)?.highest ?? null,
      }))
      await using again = await readerOf(source, table.model, { ...position, partitions })
      await table.write(rowOf(4, 'd'))
      expect(said((await entriesOf(again, 1)).entries)).toEqual([['4', 'd']])
    })

    if (canShow('repeat'))
      it('does not go back where a connector writes its entries twice', async () => {
        if (table.repeat === undefined) throw notShown('repeat')
        const { reader } = await begin()
        await using _ = reader
        await table.write(rowOf(1, 'a'), rowOf(1, 'b'))
        await entriesOf(reader, 2)
        await table.repeat()
        await table.write(rowOf(1, 'c'))
        const names: unknown[] = []
        while (names.at(-1) !== 'c')
          names.push(...(await sliceOf(reader)).entries.map(({ row }) => row?.['name']))
        // The newest entry may come again, which changes nothing.
        expect([['c'], ['b', 'c']]).toContainEqual(names)
      })

    it('keeps within its bounds, and gives a row that is larger alone', async () => {
      const { reader } = await begin()
      await using _ = reader
      const note = 'x'.repeat(20_000)
      await table.write(...[1, 2, 3, 4, 5].map(id => rowOf(id, 'wide', note)))
      let seen = 0
      while (seen < 5) {
        const { entries } = await sliceOf(reader, { bytes: 1_000 })
        expect(entries.length).toBeLessThanOrEqual(1)
        seen += entries.length
      }
    })

    it('waits for the first entry, and rejects at once when it is aborted', async () => {
      const { reader } = await begin()
      await using _ = reader
      const aborting = new AbortController()
      const waiting = reader.next({ ...BOUNDS, signal: aborting.signal })
      const reason = new Error('no longer wanted')
      aborting.abort(reason)
      await expect(waiting).rejects.toBe(reason)
      await expect(reader.next({ ...BOUNDS, signal: aborting.signal })).rejects.toBe(reason)
      const next = sliceOf(reader)
      await table.write(rowOf(2))
      expect(said((await next).entries)).toEqual([['2', 'n2']])
    })

    it('has a lag until it is at the end', async () => {
      const { reader } = await begin()
      await using _ = reader
      await table.write(...[1, 2, 3, 4, 5].map(id => rowOf(id, 'new')))
      await sliceOf(reader, { rows: 1 })
      // A reader learns the end of each partition with the next answer from it.
      await expect.poll(() => (reader.lag().records ?? Infinity) > 0).toBe(true)
      await entriesOf(reader, 4)
      const end = reader.lag()
      expect([0, null]).toContain(end.records)
      expect(end.oldestCommittedAt).toBe(null)
    })

    it('takes acknowledgements, and gives up what it has made', async () => {
      const { reader, position } = await begin()
      reader.acknowledged(position)
      await table.write(rowOf(1, 'new'))
      const slice = await sliceOf(reader)
      reader.acknowledged(slice.position)
      await reader[Symbol.asyncDispose]()
      await source.release(table.model, { signal })
      await source.release(table.model, { signal })
    })

    if (canShow('changeKey'))
      it('makes two entries of a key that changes', async () => {
        if (table.changeKey === undefined) throw notShown('changeKey')
        const { reader } = await begin()
        await using _ = reader
        await table.changeKey(1, { id: 9, name: 'n1', note: null })
        const { entries } = await entriesOf(reader, 2)
        expect(new Set(said(entries))).toEqual(
          new Set([
            ['1', null],
            ['9', 'n1'],
          ]),
        )
      })

    if (canShow('writeLacking'))
      it('names the columns whose values an entry lacks', async () => {
        if (table.writeLacking === undefined) throw notShown('writeLacking')
        await table.write(rowOf(1, 'a', 'x'.repeat(10_000)))
        await table.writeLacking(1, 'b')
        await using reader = await readerOf(source, table.model, null)
        expect((await compare(reader)).rows).toEqual([{ id: 1, name: 'b', note: 'x'.repeat(10_000) }])
        const { mayLack } = await source.describe(table.model, { signal })
        expect(mayLack).toContain('note')
        await table.writeLacking(1, 'c')
        const { entries } = await entriesOf(reader, 1)
        expect(entries).toMatchObject([{ key: '1', row: { id: 1, name: 'c', note: null }, lacks: ['note'] }])
      })

    if (canShow('writeUnreadable'))
      it('passes over a record that cannot be read, and tells its place', async () => {
        if (table.writeUnreadable === undefined) throw notShown('writeUnreadable')
        const { reader } = await begin()
        await using _ = reader
        await table.write(rowOf(1, 'a'))
        await table.writeUnreadable()
        await table.write(rowOf(1, 'b'))
        const entries: StreamEntry[] = []
        const unreadable: StreamSlice['unreadable'][number][] = []
        while (entries.length < 2 || unreadable.length === 0) {
          const slice = await sliceOf(reader)
          entries.push(...slice.entries)
          unreadable.push(...slice.unreadable)
        }
        expect(said(entries)).toEqual([
          ['1', 'a'],
          ['1', 'b'],
        ])
        expect(unreadable).toHaveLength(1)
        expect(unreadable[0]?.place).toMatch(/partition \d+, offset \d+/)
      })

    it.for((['truncated', 'snapshot', 'columns'] as const).filter(canShow))(
      'stops at a break (%s) behind the entries before it, until a comparison',
      async why => {
        const event = table.breaks[why]
        if (event === undefined) throw notShown(why)
        const { reader } = await begin(rowOf(1), rowOf(2))
        await using _ = reader
        await table.write(rowOf(2, 'before'))
        expect(said((await entriesOf(reader, 1)).entries)).toEqual([['2', 'before']])
        await event()
        for (let again = 0; again < 2; again += 1)
          expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why })
        const { position } = await compare(reader)
        await table.write(rowOf(8, 'after'))
        expect(said((await entriesOf(reader, 1)).entries)).toEqual([['8', 'after']])
        await using other = table.open()
        await using later = await readerOf(other, table.model, position)
        expect(said((await entriesOf(later, 1)).entries)).toEqual([['8', 'after']])
      },
    )

    it.for((['lost', 'history', 'partitions'] as const).filter(canShow))(
      'does not go on at a position whose log is another one (%s)',
      async why => {
        const event = table.breaks[why]
        if (event === undefined) throw notShown(why)
        const { reader, position } = await begin()
        await table.write(rowOf(2, 'unread'))
        await reader[Symbol.asyncDispose]()
        await event()
        const { broken } = await untilBreak(source, table.model, position)
        expect(broken).toMatchObject({ kind: 'break', why })
        expect(broken.detail).not.toBe('')
      },
    )

    if (canShow('disconnect'))
      it('goes on by itself when its connections break', async () => {
        if (table.disconnect === undefined) throw notShown('disconnect')
        const { reader } = await begin()
        await using _ = reader
        const next = sliceOf(reader)
        await table.disconnect()
        await table.write(rowOf(2))
        expect(said((await next).entries)).toEqual([['2', 'n2']])
      })

    it('gives each change once and in order, wherever readers end', async () => {
      for (const seed of [1, 2, 3]) {
        const random = randomFrom(seed)
        const ids = [1, 2, 3, 4, 5, 6].map(id => id + seed * 100)
        const there = new Set<number>()
        const written = new Map<string, (string | null)[]>(ids.map(id => [String(id), []]))
        const seen = new Map<string, unknown[]>(ids.map(id => [String(id), []]))
        const write = async (...changes: readonly Written[]) => {
          await table.write(...changes)
          for (const { id, row } of changes) {
            if (row === null) there.delete(id)
            else there.add(id)
            written.get(String(id))?.push(row === null ? null : row.name)
          }
        }
        const change = async () => {
          const ofThese = ids.filter(() => random.chance(0.5))
          const changes = ofThese.map(id =>
            there.has(id) && random.chance(0.4) ? { id, row: null } : rowOf(id, `n${random.below(4)}`),
          )
          await write(rowOf(seed * 100, 'tick'), ...changes)
        }
        const take = ({ entries }: StreamSlice) => {
          for (const { key, row } of entries) seen.get(key)?.push(row === null ? null : row['name'])
        }
        await change()
        let reader = await readerOf(source, table.model, null)
        let { position } = await compare(reader)
        for (const names of written.values()) names.length = 0
        for (let step = 0; step < 12; step += 1) {
          await change()
          if (random.chance(0.3)) {
            await reader[Symbol.asyncDispose]()
            reader = await readerOf(source, table.model, position)
          }
          if (random.chance(0.6)) {
            const slice = await sliceOf(reader, { rows: 1 + random.below(6) })
            take(slice)
            ;({ position } = slice)
          }
        }
        await write(...ids.map(id => rowOf(id, 'last')))
        while (ids.some(id => seen.get(String(id))?.at(-1) !== 'last')) take(await sliceOf(reader))
        await reader[Symbol.asyncDispose]()
        expect(seen, `seed ${seed}`).toEqual(written)
      }
    })
  })
}

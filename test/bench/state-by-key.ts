/**
 * Measures the state by key of a stream: filling it, looking up keys at random, taking in the changes of a
 * slice, and reading all keys in their order. Run: npm run bench:state-by-key [-- --rows 10000000 --bytes
 * 100]
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openStreamState } from '@sluice/delivered-state/adapters/sqlite'
import type { StreamFeed, StreamState } from '@sluice/delivered-state/stream-port'
import { randomFrom } from '@sluice/testkit/random'
import { changeOf } from '@sluice/delivered-state/test/stream-played'
import { markdown } from './bench-report.ts'
import { median } from './median.ts'

const SLICE = 5_000
const LOOKED_UP = 1_000
const ROUNDS = 20
const COLUMNS = ['id', 'name', 'email', 'city'].map(name => ({ name, type: { kind: 'text' } as const }))

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '10000000' }, bytes: { type: 'string', default: '100' } },
})
const [rows, bytes] = [Number(values.rows), Number(values.bytes)]
const random = randomFrom(1)
let offset = 0

/** Keys lie all over the file, as those of hashes or of people do. */
const keyOf = (index: number): string => ((index * 2_654_435_761) % 2 ** 40).toString(36).padStart(8, '0')

function sliceOf(indexes: readonly number[], run: number): StreamFeed {
  const records = indexes.map((index, seq) => {
    const key = keyOf(index)
    const rest = bytes - key.length
    const text = (part: number): string =>
      `${run}-${index}-`.padEnd(Math.max(1, Math.round(rest * part)), 'x')
    const after = { id: key, name: text(0.3), email: text(0.4), city: text(0.3) }
    return {
      offset: offset++,
      timestamp: run,
      change: changeOf({ key, run, seq, after, order: String(offset) }),
    }
  })
  return { partition: 0, changes: { records, nextOffset: offset } }
}

const someIndexes = (count: number): readonly number[] =>
  Array.from({ length: count }, () => random.below(rows))

/** The time of some work, and the CPU time of the process in it, both in milliseconds. */
interface Took {
  readonly ms: number
  readonly cpuMs: number
}

function timed(work: () => void): Took {
  const cpu = process.cpuUsage()
  const start = performance.now()
  work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { ms, cpuMs: (user + system) / 1000 }
}

function medianOf(work: () => () => void): Took {
  const all = Array.from({ length: ROUNDS }, () => timed(work()))
  return { ms: median(all.map(({ ms }) => ms)), cpuMs: median(all.map(({ cpuMs }) => cpuMs)) }
}

function told({ ms, cpuMs }: Took): string {
  const digits = ms < 100 ? 2 : 0
  return `${ms.toFixed(digits)} ms, ${cpuMs.toFixed(digits)} ms of CPU`
}

function readAll(state: StreamState): void {
  for (let after: string | null = null; ;) {
    const found = state.inOrder(after, SLICE)
    after = found.at(-1)?.key ?? null
    if (after === null) return
  }
}

const dir = await mkdtemp(join(tmpdir(), 'sluice-state-by-key-'))
try {
  const file = join(dir, 'state.sqlite')
  const options = { sync: 's', incarnation: 'i', partitions: 1, file }
  const filling = openStreamState(options)
  filling.setColumns(COLUMNS)
  const filled = timed(() => {
    for (let from = 0; from < rows; from += SLICE)
      filling.take(
        sliceOf(
          Array.from({ length: Math.min(SLICE, rows - from) }, (_, index) => from + index),
          1,
        ),
      )
  })
  await filling[Symbol.asyncDispose]()
  const { size } = await stat(file)

  const rssBefore = process.memoryUsage().rss
  await using state = openStreamState(options)
  state.setColumns(COLUMNS)
  const firstKeys = someIndexes(LOOKED_UP).map(keyOf)
  const first = timed(() => void state.of(firstKeys))
  const lookUp = (count: number) =>
    medianOf(() => {
      const keys = someIndexes(count).map(keyOf)
      return () => void state.of(keys)
    })
  const twins = medianOf(() => {
    const keys = someIndexes(LOOKED_UP).map(keyOf)
    return () => void state.twinsOf(keys)
  })
  let run = 1
  const take = (count: number) =>
    medianOf(() => {
      const feed = sliceOf(someIndexes(count), ++run)
      return () => void state.take(feed)
    })
  const figures: readonly (readonly [string, string])[] = [
    [
      `${rows.toLocaleString('en')} rows of ${bytes} bytes, on disk`,
      `${Math.round(size / 2 ** 20)} MiB, ${Math.round(size / rows)} bytes a row`,
    ],
    ['filling it, all over the file', told(filled)],
    ['1,000 keys, just opened', told(first)],
    ['1,000 keys, median', told(lookUp(LOOKED_UP))],
    ['1 key, median', told(lookUp(1))],
    ['twins of 1,000 keys, median', told(twins)],
    ['taking in 5,000 changes, median', told(take(SLICE))],
    ['taking in 100 changes, median', told(take(100))],
    ['all keys in their order', told(timed(() => readAll(state)))],
    [
      'memory beyond that of the process',
      `${Math.round((process.memoryUsage().rss - rssBefore) / 2 ** 20)} MiB`,
    ],
  ]
  console.log(markdown(['what', 'figure'], figures))
} finally {
  await rm(dir, { recursive: true, force: true })
}

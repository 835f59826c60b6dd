/** The table: what users have, each as a shape of its own. */
import { EIGHT_KEYS, longText, nulls, oneByte, scatteredText, shortText, shortTexts } from './columns.ts'
import { scaled, type AnswerScript, type Expected, type Pass, type Selection, type Shape } from './shape.ts'

const OK: AnswerScript = { kind: 'ok' }
const delivered = (rows: Selection): Expected => ({ rows, outcome: 'delivered', sends: 1 })

/** All rows are added. */
const ADD_ALL: Pass = {
  revision: 1,
  before: 1,
  has: 'all',
  answers: OK,
  expect: { added: delivered('all') },
}
/** Nothing has changed since, so nothing may be sent. */
const NOTHING_TO_DO: Pass = { ...ADD_ALL, expect: {} }
const ADDED_ONCE: readonly Pass[] = [ADD_ALL, NOTHING_TO_DO]
/** Nothing may be sent even if the delivered state has to be rebuilt first, whatever its size. */
const ADDED_AND_RESTORED: readonly Pass[] = [ADD_ALL, { ...NOTHING_TO_DO, isCacheLost: true }]

/** No row is delivered in the first run, all are in the second, and the third has nothing to do. */
function failsOnce(answers: AnswerScript, outcome: Expected['outcome']): readonly Pass[] {
  const failing: Pass = { ...ADD_ALL, answers, expect: { added: { rows: 'all', outcome, sends: 1 } } }
  return [failing, ADD_ALL, NOTHING_TO_DO]
}

const EVERY_ROW_CHANGES: readonly Pass[] = [
  ADD_ALL,
  { revision: 2, before: 1, has: 'all', answers: OK, expect: { changed: delivered('all') } },
  { revision: 2, before: 2, has: 'all', answers: OK, isCacheLost: true, expect: {} },
]

const HALF_LEAVES: readonly Pass[] = [
  ADD_ALL,
  { ...ADD_ALL, has: 'even', expect: { removed: delivered('odd') } },
  { ...ADD_ALL, has: 'even', expect: {} },
]

/** One row of 500 changes in each run, all over the table. */
const SCATTERED_CHANGES: readonly Pass[] = [
  ADD_ALL,
  ...[2, 3, 4, 5].map((revision): Pass => {
    const expect = { changed: delivered('scattered') }
    return { revision, before: revision - 1, has: 'all', answers: OK, expect }
  }),
  { revision: 5, before: 5, has: 'all', answers: OK, isCacheLost: true, expect: {} },
]

/** Runs in each of which every row changes. */
function manyRuns(count: number): readonly Pass[] {
  const changing = Array.from({ length: count - 1 }, (_, index): Pass => {
    const before = index + 1
    return { revision: before + 1, before, has: 'all', answers: OK, expect: { changed: delivered('all') } }
  })
  return [ADD_ALL, ...changing]
}

/** Half of the rows leave, or a little more. */
const NO_GUARD = { removalGuard: false }

const NARROW = [shortText('v')]
const KB_10 = [longText('t', 10_000)]
const KB_3 = [longText('t', 3_000)]
const MB_1 = [longText('t', 1_000_000)]
const TYPES = ['integer', 'bigint', 'varchar', 'date', 'timestamp', 'boolean', 'double', 'decimal(20, 2)']

export const SHAPES: readonly Shape[] = [
  { name: 'one-row', rows: 1, columns: NARROW, batch: 100, passes: EVERY_ROW_CHANGES },
  { name: 'no-rows', rows: 0, columns: NARROW, batch: 100, passes: [NOTHING_TO_DO, NOTHING_TO_DO] },
  { name: 'one-million', rows: 1_000_000, columns: NARROW, file: 'csv', batch: 1_000, passes: ADDED_ONCE },
  {
    name: 'five-million',
    rows: 5_000_000,
    columns: NARROW,
    file: 'parquet',
    batch: 2_000,
    passes: ADDED_AND_RESTORED,
  },

  { name: 'wide-10kb', rows: 30_000, columns: KB_10, batch: 100, passes: ADDED_ONCE },
  { name: 'wide-10kb-changes', rows: 30_000, columns: KB_10, batch: 100, passes: EVERY_ROW_CHANGES },
  {
    name: 'wide-10kb-file',
    rows: 30_000,
    columns: KB_10,
    file: 'duckdb',
    batch: 100,
    passes: ADDED_AND_RESTORED,
  },
  {
    name: 'wide-10kb-postgres',
    rows: 30_000,
    columns: KB_10,
    dialect: 'postgres',
    batch: 100,
    passes: ADDED_ONCE,
  },
  {
    name: 'wide-10kb-mariadb',
    rows: 30_000,
    columns: KB_10,
    dialect: 'mariadb',
    batch: 100,
    passes: ADDED_ONCE,
  },
  { name: 'wide-3kb', rows: 100_000, columns: KB_3, batch: 100, passes: ADDED_AND_RESTORED },
  { name: 'wide-3kb-csv', rows: 100_000, columns: KB_3, file: 'csv', batch: 100, passes: ADDED_ONCE },
  {
    name: 'wide-1mb',
    rows: 200,
    columns: MB_1,
    // From a file, as users have such rows. A query that computes them holds them twice (PERFORMANCE.md).
    file: 'duckdb',
    batch: 100,
    batchBytes: '8MB',
    passes: EVERY_ROW_CHANGES,
  },
  {
    name: 'wide-1mb-postgres',
    rows: 200,
    columns: MB_1,
    dialect: 'postgres',
    batch: null,
    passes: ADDED_ONCE,
  },
  { name: 'wide-1mb-mariadb', rows: 200, columns: MB_1, dialect: 'mariadb', batch: null, passes: ADDED_ONCE },
  {
    name: 'column-of-7mb',
    rows: 20,
    columns: [longText('t', 7_000_000)],
    batch: null,
    passes: ADDED_AND_RESTORED,
  },
  { name: 'columns-400', rows: 20_000, columns: shortTexts(400), batch: 100, passes: ADDED_AND_RESTORED },
  { name: 'columns-1000', rows: 5_000, columns: shortTexts(1_000), batch: 100, passes: EVERY_ROW_CHANGES },
  {
    name: 'all-nulls',
    rows: 100_000,
    columns: TYPES.map((type, index) => nulls(`c${index}`, type)),
    batch: 100,
    passes: ADDED_ONCE,
  },

  {
    name: 'key-1-byte',
    rows: 127,
    columns: [oneByte('k')],
    primaryKey: ['k'],
    batch: 10,
    sync: NO_GUARD,
    passes: HALF_LEAVES,
  },
  {
    name: 'key-8kb',
    rows: 10_000,
    columns: [longText('k', 8_192)].map(key => ({
      ...key,
      sql: () => key.sql(0),
      json: n => key.json(n, 0),
    })),
    primaryKey: ['k'],
    batch: 100,
    sync: NO_GUARD,
    passes: HALF_LEAVES,
  },
  {
    name: 'key-8-columns',
    rows: 100_000,
    columns: [...EIGHT_KEYS, shortText('v')],
    primaryKey: EIGHT_KEYS.map(({ name }) => name),
    batch: 100,
    passes: EVERY_ROW_CHANGES,
  },

  {
    name: 'every-row-changes',
    rows: 300_000,
    columns: NARROW,
    batch: 1_000,
    previous: 'v',
    passes: EVERY_ROW_CHANGES,
  },
  {
    name: 'scattered-changes',
    rows: 2_000_000,
    columns: [scatteredText('v')],
    file: 'parquet',
    batch: 1_000,
    passes: SCATTERED_CHANGES,
  },
  { name: 'half-leaves', rows: 300_000, columns: NARROW, batch: 1_000, sync: NO_GUARD, passes: HALF_LEAVES },
  {
    name: 'all-rejected',
    rows: 100_000,
    columns: NARROW,
    batch: 5_000,
    passes: failsOnce({ kind: 'reject', textBytes: 3_000 }, 'rejected'),
  },
  {
    name: 'all-unknown',
    rows: 100_000,
    columns: NARROW,
    batch: 100,
    passes: failsOnce({ kind: 'cut' }, 'unknown'),
  },
  {
    name: 'all-throttled-once',
    rows: 100_000,
    columns: NARROW,
    // A destination that has throttled is tried one by one again, after a second each: 100 requests are many.
    batch: 1_000,
    passes: [
      {
        ...ADD_ALL,
        answers: { kind: 'throttle-once' },
        expect: { added: { ...delivered('all'), sends: 2 } },
      },
      NOTHING_TO_DO,
    ],
  },
  { name: 'batch-of-1', rows: 100_000, columns: NARROW, batch: null, passes: ADDED_ONCE },
  { name: 'batch-of-100', rows: 300_000, columns: NARROW, batch: 100, passes: ADDED_ONCE },
  {
    name: 'batch-of-100000',
    rows: 300_000,
    columns: NARROW,
    batch: 100_000,
    batchBytes: '8MB',
    passes: ADDED_ONCE,
  },
  {
    name: 'answers-of-10mb',
    rows: 300,
    columns: NARROW,
    batch: null,
    passes: [{ ...ADD_ALL, answers: { kind: 'large', bytes: 10_000_000 } }, NOTHING_TO_DO],
  },
  {
    name: 'syncs-200',
    rows: 20_000,
    columns: NARROW,
    syncs: 200,
    batch: 100,
    sync: { partitions: 1 },
    passes: EVERY_ROW_CHANGES,
  },
  {
    name: 'partitions-64',
    rows: 100_000,
    columns: NARROW,
    batch: 100,
    sync: { partitions: 64 },
    passes: EVERY_ROW_CHANGES,
  },
  {
    name: 'runs-1000',
    rows: 10,
    columns: NARROW,
    file: 'csv',
    batch: 100,
    oneProcess: true,
    passes: manyRuns(1_000),
  },
]

export function findShape(name: string, scale = 1): Shape {
  const shape = SHAPES.find(each => each.name === name)
  if (shape === undefined)
    throw new Error(`there is no shape ${name}; there are ${SHAPES.map(each => each.name).join(', ')}`)
  return scaled(shape, scale)
}

/** Which syncs may be streams, and what belongs to streams alone. */
import { expect, it } from 'vitest'
import { checkStreams } from './checks/check-streams.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

const PLAIN = 'kind: source\nname: shop\ntype: postgres\nurl: postgres://u@h/d\n'
const SOURCE = `${PLAIN}follow: {}\n`
const TABLE = 'kind: model\nname: clients\nsource: shop\ntable: public.clients\nprimaryKey: id\n'
const DUCKDB = 'kind: source\nname: shop\ntype: duckdb\npath: d\n'
const KAFKA = 'kind: source\nname: shop\ntype: kafka\nbrokers: [kafka:9092]\n'
const TOPIC = 'kind: model\nname: clients\nsource: shop\ntopic: shop.clients\nformat: debezium\n'

function sync(fields: string, name = 's'): string {
  const rest = 'model: clients\ndestination: d\ntriggers:\n  added: { method: POST, path: /x }\n'
  return `kind: sync\nname: ${name}\n${rest}${fields}`
}

function problemsOf(...texts: readonly string[]): readonly string[] {
  const { resources } = readDocuments({ path: 'a.yaml', folder: '/p', text: texts.join('---\n') })
  const decoded = resources.map(document =>
    decodeResource(document, { env: {}, readFile: () => ({ text: '' }) }),
  )
  expect(decoded.flatMap(({ problems }) => problems)).toEqual([])
  return checkStreams(decoded).map(({ line, column, field, message }) => {
    return `${line ?? 0}:${column ?? 0} ${field ?? ''}: ${message}`
  })
}

const CONTINUOUS = 'schedule: continuous\n'

it('are syncs over a topic, or over a table that its source follows', () => {
  const settings = `${CONTINUOUS}slice: { rows: 500, wait: 20ms }\nerrors: { retryAfter: 5m }\n`
  expect(problemsOf(SOURCE, TABLE, sync(settings))).toEqual([])
  expect(problemsOf(KAFKA, TOPIC, sync(settings))).toEqual([])
  expect(problemsOf(KAFKA, `${TOPIC}sql: select id from changes\n`, sync(settings))).toEqual([])
})

it('may be read as tables by another schedule', () => {
  expect(problemsOf(SOURCE, TABLE, sync('schedule: { every: 1m }\nmaxDuration: 1h\n'))).toEqual([])
})

it('are none without a log of changes, and the message says what is missing', () => {
  const [noFollow] = problemsOf(PLAIN, TABLE, sync(CONTINUOUS))
  expect(noFollow).toMatch(
    /^\d+:11 schedule: sync `s`: `continuous` needs .*; write `follow: \{\}` into source/,
  )
  const query = TABLE.replace('table: public.clients', 'sql: select id from clients')
  expect(problemsOf(SOURCE, query, sync(CONTINUOUS)).join()).toMatch(
    /model `clients` has `sql`, whose result has no log of changes. Write `table` in its place$/,
  )
  expect(problemsOf(DUCKDB, TABLE, sync(CONTINUOUS)).join()).toMatch(
    /source `shop` is of type duckdb, which has no stream. Another schedule reads it/,
  )
})

it.each([
  ['maxDuration: 1h\n', /:14 maxDuration: .*no `maxDuration` beside `schedule: continuous`/],
  ['delivery: at-most-once\n', /:11 delivery: .*wanted `at-least-once` beside .*found `at-most-once`/],
])('cannot have %s', (field, message) => {
  expect(problemsOf(SOURCE, TABLE, sync(`${CONTINUOUS}${field}`)).join()).toMatch(message)
})

it.each([
  ['slice: { rows: 5 }\n', /:8 slice: sync `s`: `slice` has a meaning only beside `schedule: continuous`/],
  ['errors: { retryAfter: 5m }\n', /:23 errors\.retryAfter: .*only beside `schedule: continuous`/],
])('alone can have %s', (field, message) => {
  expect(problemsOf(SOURCE, TABLE, sync(field)).join()).toMatch(message)
})

it('have a slot each', () => {
  const slot = `${PLAIN}follow: { slot: mine }\n`
  const two = [sync(CONTINUOUS), sync(CONTINUOUS, 't')]
  expect(problemsOf(SOURCE, TABLE, ...two)).toEqual([])
  expect(problemsOf(slot, TABLE, ...two).join()).toMatch(
    /the slot `mine` of source `shop` is read by sync `s`/,
  )
})

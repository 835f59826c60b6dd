/** The benchmark's own parts, for a measurement is worth no more than its instruments. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { COLUMNS, writeRows } from '../bench/rows.ts'
import { startReceiver } from '../bench/start-receiver.ts'
import { undiciLoop } from '../bench/undici-loop.ts'

const COUNT = 2_345
let folder: string
let file: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'))
  file = join(folder, 'rows.csv')
  await writeRows(file, COUNT)
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

it('makes the same rows each time, of about 200 bytes, with values that need no quotes', async () => {
  const again = join(folder, 'again.csv')
  await writeRows(again, COUNT)
  const csv = await readFile(file, 'utf8')
  expect(await readFile(again, 'utf8')).toBe(csv)
  const [header, ...rows] = csv.trimEnd().split('\n')
  expect(header?.split(',')).toEqual(COLUMNS)
  expect(rows).toHaveLength(COUNT)
  expect(new Set(rows.map(row => row.split(',')[0])).size).toBe(COUNT)
  expect(rows.every(row => row.split(',').length === COLUMNS.length && !row.includes('"'))).toBe(true)
  const bytesPerRow = csv.length / COUNT
  expect(bytesPerRow).toBeGreaterThan(180)
  expect(bytesPerRow).toBeLessThan(220)
})

it('changes every row in another revision, and keeps its id', async () => {
  const edited = join(folder, 'edited.csv')
  await writeRows(edited, COUNT, 1)
  const before = (await readFile(file, 'utf8')).trimEnd().split('\n').slice(1)
  const after = (await readFile(edited, 'utf8')).trimEnd().split('\n').slice(1)
  expect(after.map(row => row.split(',')[0])).toEqual(before.map(row => row.split(',')[0]))
  expect(after.filter((row, index) => row === before[index])).toEqual([])
})

it('counts every row of the loop exactly once, in full and partial batches', async () => {
  await using receiver = await startReceiver()
  const result = await undiciLoop({ file, url: receiver.url, batch: 100, concurrency: 100 })
  expect(result).toMatchObject({ rows: COUNT, requests: 24 })
  expect(await receiver.stats()).toMatchObject({ rows: COUNT, requests: 24 })
  await receiver.reset()
  expect(await receiver.stats()).toMatchObject({ rows: 0, requests: 0, firstAt: null })
})

it('takes bodies that arrive in pieces', async () => {
  await using receiver = await startReceiver()
  const big = JSON.stringify(Array.from({ length: 20_000 }, (_, id) => ({ id, text: 'x'.repeat(100) })))
  await Promise.all([big, '', '[{"id":1}]'].map(body => fetch(receiver.url, { method: 'POST', body })))
  expect(await receiver.stats()).toMatchObject({ rows: 20_001, requests: 3 })
})

it('takes requests that arrive in one piece', async () => {
  await using receiver = await startReceiver()
  const one = 'POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n[{"id":1}]'
  const socket = connect(Number(new URL(receiver.url).port), '127.0.0.1')
  socket.end(one.repeat(3))
  const answers = await text(socket)
  expect(answers.split('HTTP/1.1 200 OK')).toHaveLength(4)
  expect(await receiver.stats()).toMatchObject({ rows: 3, requests: 3 })
})

it('answers no sooner than the delay that it was given', async () => {
  await using receiver = await startReceiver({ delayMs: 30 })
  const started = performance.now()
  await fetch(receiver.url, { method: 'POST', body: '[]' })
  expect(performance.now() - started).toBeGreaterThanOrEqual(29)
})

it('tells how old rows are when they arrive', async () => {
  await using receiver = await startReceiver({ ages: true })
  const at = Date.now() - 60_000
  const body = `[{"id":1,"at":${at}},{"id":2,"at":${at}.25}]`
  await fetch(receiver.url, { method: 'POST', body })
  const { rows, ages } = await receiver.stats()
  expect(rows).toBe(2)
  expect(ages?.p50).toBeGreaterThanOrEqual(59_990)
  expect(ages?.most).toBeLessThan(120_000)
  await receiver.reset()
  expect((await receiver.stats()).ages).toBeNull()
})

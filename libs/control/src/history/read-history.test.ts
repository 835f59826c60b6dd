/** Failed rows and attempts, read from topics that hold other records too. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AttemptView } from '@sluice/contracts/api'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { TopicsReader } from '@sluice/history/topics-reader'
import type { AttemptsQuery } from '../port.ts'
import type { Attempt, Change, RetryEntry } from '@sluice/contracts/records'
import { parseGroup } from '@sluice/domain/answers/failed-group'
import { at, markerKey, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { plainMarker } from '@sluice/partition/take-over'
import {
  INCARNATION,
  sampleAttempt,
  sampleChange,
  sampleEntry,
  sampleRequest,
  sampleRow,
  sampleSlice,
  SYNC,
} from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { readRequest } from './read-request.ts'
import { filterOf, searchAttempts } from './search-attempts.ts'
import { keptColumns, readFailedColumns } from './read-failed-columns.ts'
import { failedPageOf, keptFailedRows, readFailedRows, type FailedRowsQuery } from './read-failed-rows.ts'

const { signal } = new AbortController()
const topics = syncTopics(PREFIX, SYNC)
const PARTITIONS = 2

let world: TestLog
beforeEach(async () => {
  world = await openTestLog({ partitions: PARTITIONS })
})
afterEach(() => world[Symbol.asyncDispose]())

describe('the failed rows of a sync', () => {
  async function fail(
    partition: number,
    key: string,
    fields: Partial<RetryEntry> | null = {},
  ): Promise<void> {
    const value = fields === null ? null : world.io.encode('RetryEntry', sampleEntry(fields))
    await world.append(at(topics.retry, partition), [{ key: textKey(key), value }])
  }
  async function read(query: Partial<FailedRowsQuery> = {}) {
    const all = { run: null, key: null, status: null, group: null, limit: 100, after: null }
    const of = { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, ...all, ...query }
    const found = await readFailedRows(world, of, { signal })
    const { rows, next } = failedPageOf(
      found.rows.map(({ row }) => row),
      found,
    )
    return { keys: rows.map(({ key }) => key), rows, next, found }
  }

  it('are those of all partitions, by key, each with its last entry', async () => {
    await fail(0, 'b', { status: 500 })
    await fail(1, 'a')
    await fail(0, 'b', { status: 422, error: 'HTTP 422: no', attempts: 3, runs: 2, since: 0 })
    const { keys, rows, next } = await read()
    expect(keys).toEqual(['a', 'b'])
    expect(next).toBeNull()
    expect(rows[1]).toEqual({
      key: 'b',
      op: 'added',
      outcome: 'rejected',
      status: 422,
      error: 'HTTP 422: no',
      attempts: 3,
      runs: 2,
      since: '1970-01-01T00:00:00.000Z',
    })
  })

  it('disappear with their tombstone, but only those of its partition', async () => {
    await fail(0, 'a')
    await fail(0, 'b')
    await fail(1, 'b')
    await fail(0, 'a', null)
    await fail(0, 'b', null)
    expect((await read()).keys).toEqual(['b'])
  })

  it('are not those of another incarnation, nor markers', async () => {
    await fail(0, 'a', { incarnation: 'another' })
    const marker = world.io.encode('Marker', plainMarker('takeover', INCARNATION, -1))
    const key = markerKey('takeover', `attempts/${SYNC}/0`)
    const slice = world.io.encode('Slice', sampleSlice())
    await world.append(at(topics.retry, 0), [
      { key, value: marker },
      { key: sliceKey(0), value: slice },
    ])
    expect((await read()).keys).toEqual([])
  })

  it('may be asked for by run, key and status', async () => {
    await fail(0, 'a', { run: 1, status: 422 })
    await fail(0, 'b', { run: 2, status: 422 })
    await fail(1, 'c', { run: 2, status: null })
    expect((await read({ run: 2 })).keys).toEqual(['b', 'c'])
    expect((await read({ key: 'c' })).keys).toEqual(['c'])
    expect((await read({ status: 422 })).keys).toEqual(['a', 'b'])
    expect((await read({ run: 2, status: 422 })).keys).toEqual(['b'])
  })

  it('are named by their reason and their times, so that a group has no row that fails later', async () => {
    await fail(0, 'a', { run: 1, since: 10, error: 'row 1 is wrong' })
    await fail(1, 'b', { run: 2, since: 20, error: 'row 2 is wrong' })
    await fail(0, 'c', { run: 2, since: 20, error: 'gone' })
    const [wrong] = (await read()).found.groups
    const group = parseGroup(wrong?.id ?? '')
    expect([wrong?.count, group?.lastSince, group?.toRun]).toEqual([2, 20, 2])
    // A later run tries one of them again, and another row fails for the same reason.
    await fail(0, 'a', { run: 3, since: 10, error: 'row 1 is wrong' })
    await fail(1, 'd', { run: 3, since: 30, error: 'row 4 is wrong' })
    expect((await read({ group })).keys).toEqual(['a', 'b'])
    expect((await read({ key: 'a' })).found.groups).toMatchObject([{ count: 1, key: 'a' }])
    expect((await read({ key: 'a' })).found.groups[0]).not.toHaveProperty('id')
  })

  it('have the columns of the change that failed, not of an earlier one', async () => {
    const schema = changeSchema([{ name: 'name', type: { kind: 'text' } }])
    const of = { sync: SYNC, incarnation: INCARNATION, schema }
    const encoder = await world.io.changeEncoder(of, { signal })
    const change = (key: string, fields: Partial<Change>) =>
      world.append(at(topics.changes, 0), [
        { key: textKey(key), value: encoder.encode(sampleChange({ key, ...fields })) },
      ])
    await change('a', { run: 1, seq: 1, op: 'added', after: { name: 'old' } })
    await change('b', { run: 2, seq: 1, op: 'removed', before: { name: 'left' }, after: null })
    await change('a', { run: 2, seq: 2, op: 'changed', after: { name: 'new' } })
    await fail(0, 'a', { run: 2, seq: 2 })
    await fail(0, 'b', { run: 2, seq: 1, op: 'removed' })
    await fail(0, 'c', { run: 2, seq: 3 })
    const { rows, ahead } = (await read()).found
    const wanted = { sync: SYNC, incarnation: INCARNATION, rows, ahead }
    const page = await readFailedColumns(world, wanted, { signal })
    expect(page.map(({ key, row }) => [key, row])).toEqual([
      ['a', { name: 'new' }],
      ['b', { name: 'left' }],
      ['c', null],
    ])
  })

  it('have columns that one pass through the topic finds for all pages', async () => {
    const schema = changeSchema([{ name: 'name', type: { kind: 'text' } }])
    const encoder = await world.io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    // The change of `f` is no longer held.
    for (const [seq, key] of ['e', 'c', 'a', 'd', 'b'].entries())
      await world.append(at(topics.changes, 0), [
        {
          key: textKey(key),
          value: encoder.encode(sampleChange({ key, run: 1, seq, after: { name: `of ${key}` } })),
        },
      ])
    for (const key of keys) await fail(0, key, { run: 1, seq: ['e', 'c', 'a', 'd', 'b'].indexOf(key) })
    const passes = vi.spyOn(world.log, 'readBackwards')
    const kept = keptColumns()
    const found: (readonly [string, unknown])[] = []
    for (let after: string | null = null; ;) {
      const { next, found: rest } = await read({ limit: 2, after })
      const wanted = { sync: SYNC, incarnation: INCARNATION, rows: rest.rows, ahead: rest.ahead }
      const page = await readFailedColumns(world, wanted, { signal, kept })
      found.push(...page.map(({ key, row }) => [key, row?.['name'] ?? null] as const))
      if (next === null) break
      after = next
    }
    expect(found).toEqual(keys.map(key => [key, key === 'f' ? null : `of ${key}`]))
    expect(passes).toHaveBeenCalledTimes(1)
  })

  it('are read from the topic once for all pages, and anew once it has changed', async () => {
    for (const key of ['a', 'b', 'c']) await fail(0, key)
    const reads = vi.spyOn(world.log, 'read')
    const kept = keptFailedRows()
    const page = async (after: string | null, of: Partial<FailedRowsQuery> = {}) => {
      const all = { run: null, key: null, status: null, group: null, limit: 2, after }
      const query = { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, ...all, ...of }
      const found = await readFailedRows(world, query, { signal, kept })
      const { rows, next } = failedPageOf(
        found.rows.map(({ row }) => row),
        found,
      )
      return { keys: rows.map(({ key }) => key), next }
    }
    const { keys, next } = await page(null)
    expect([keys, (await page(next)).keys]).toEqual([['a', 'b'], ['c']])
    expect((await page(null, { key: 'b' })).keys).toEqual(['b'])
    expect(reads).toHaveBeenCalledTimes(1)
    await fail(0, 'b', null)
    await fail(1, 'd')
    expect((await page(null, { limit: 9 })).keys).toEqual(['a', 'c', 'd'])
    expect(reads).toHaveBeenCalledTimes(3)
    // Rows of another incarnation are other rows.
    expect((await page(null, { incarnation: 'another' })).keys).toEqual([])
  })

  it('come in pages that hold each of them once', async () => {
    for (const [partition, key] of ['a', 'b', 'c', 'd', 'e'].entries()) await fail(partition % 2, key)
    const pages: string[][] = []
    let after: string | null = null
    do {
      const { keys, next }: { keys: string[]; next: string | null } = await read({ limit: 2, after })
      pages.push(keys)
      after = next
    } while (after !== null)
    expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e']])
  })

  it('go on after any key, but only with the cursor of an earlier page', async () => {
    for (const key of ['', 'a b', "it's", 'line\nbreak']) await fail(0, key)
    const keys: string[] = []
    for (let after: string | null = null, more = true; more; more = after !== null) {
      const page: { keys: string[]; next: string | null } = await read({ limit: 1, after })
      keys.push(...page.keys)
      after = page.next
      if (after !== null) expect(after).toMatch(/^[\w-]+$/)
    }
    expect(keys).toEqual(['', 'a b', "it's", 'line\nbreak'])
    await expect(read({ after: 'zzz' })).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('the attempts of a sync', () => {
  /** Writes a request and an attempt at it, in order. */
  async function send(
    partition: number,
    fields: Partial<Attempt> & { readonly key?: string; readonly body?: string } = {},
  ): Promise<void> {
    const { key = 'a', body = '{}', ...attempt } = fields
    const request = sampleRequest({ rows: [sampleRow({ key })], body: new TextEncoder().encode(body) })
    const requestOffset = await world.append(at(topics.requests, partition), [
      { key: textKey(key), value: world.io.encode('Request', request) },
    ])
    const value = world.io.encode('Attempt', sampleAttempt({ requestOffset, ...attempt }))
    await world.append(at(topics.attempts, partition), [{ key: textKey(key), value }])
  }
  async function read(
    of: {
      filter?: Omit<Partial<AttemptsQuery>, 'run'>
      run?: { id: string; number: number }
      limit?: number
      after?: string | null
      longestMs?: number
    } = {},
  ): Promise<{ readonly attempts: readonly Shown[]; readonly next: string | null }> {
    const filter = filterOf({ limit: 1, after: undefined, ...of.filter }, of.run ?? null)
    const lives = [{ sync: SYNC, incarnation: INCARNATION }]
    const { limit = 100, after = null, longestMs = 60_000 } = of
    const reader = new TopicsReader(world, { maxSearchMs: longestMs })
    return await searchAttempts(
      world,
      reader,
      { lives, filter, tests: null, limit, after, details: true },
      signal,
    )
  }
  type Shown = AttemptView
  const keysOf = ({ attempts }: { readonly attempts: readonly Shown[] }) =>
    attempts.flatMap(({ keys }) => keys)

  it('are the newest first, over all partitions', async () => {
    await send(0, { key: 'a', startedAt: 1 })
    await send(1, { key: 'b', startedAt: 2 })
    await send(0, { key: 'c', startedAt: 3 })
    expect(keysOf(await read())).toEqual(['c', 'b', 'a'])
  })

  it('show the request with its body and the answer', async () => {
    await send(1, {
      key: 'k',
      body: '{"name":"é"}',
      seq: 4,
      responseBody: 'done',
      startedAt: 0,
      durationMs: 12,
    })
    expect((await read()).attempts).toMatchObject([
      {
        requestId: 'RUN1.1.4',
        run: 'RUN1',
        keys: ['k'],
        requestBody: '{"name":"é"}',
        responseBody: 'done',
        startedAt: '1970-01-01T00:00:00.000Z',
        durationMs: 12,
      },
    ])
  })

  it('say how long an answer was of which only the beginning was recorded, if it said so', async () => {
    const answered = (responseBody: string, responseHeaders: { readonly [name: string]: string }) =>
      send(0, { key: 'k', responseBody, responseHeaders })
    const most = 'x'.repeat(64 * 1024)
    await answered(most, { 'Content-Length': '70000' })
    await answered(most, {})
    await answered(most, { 'content-length': '70000', 'content-encoding': 'gzip' })
    await answered(most, { 'content-length': String(most.length) })
    await answered('short', { 'content-length': '70000' })
    const { attempts } = await read()
    const lengths = attempts.map(({ responseBodyBytes }) => responseBodyBytes).toReversed()
    expect(lengths).toEqual([70_000, null, null, undefined, undefined])
  })

  it('are shown without rows and body once the request is trimmed', async () => {
    await send(0, { key: 'a' })
    await send(0, { key: 'b' })
    await world.log.trim(at(topics.requests, 0), 1, { signal })
    expect((await read()).attempts).toMatchObject([
      { keys: ['b'], requestBody: '{}' },
      { keys: [], requestBody: null },
    ])
  })

  it('are not those of another incarnation', async () => {
    await send(0, { incarnation: 'another' })
    expect((await read()).attempts).toEqual([])
  })

  it('may be asked for by run, key, status and time', async () => {
    await send(0, { key: 'a', run: 1, runId: 'RUN1', status: 422, startedAt: 10 })
    await send(0, { key: 'b', run: 2, runId: 'RUN2', startedAt: 20 })
    await send(1, { key: 'a', run: 2, runId: 'RUN2', startedAt: 30 })
    expect(keysOf(await read({ run: { id: 'RUN2', number: 2 } }))).toEqual(['a', 'b'])
    expect(keysOf(await read({ run: { id: 'RUN1', number: 1 } }))).toEqual(['a'])
    expect(keysOf(await read({ filter: { key: 'b' } }))).toEqual(['b'])
    expect(keysOf(await read({ filter: { status: '422' } }))).toEqual(['a'])
    expect(keysOf(await read({ filter: { since: 20 } }))).toEqual(['a', 'b'])
    expect(keysOf(await read({ filter: { since: 10, until: 30 } }))).toEqual(['b', 'a'])
  })

  it('may be asked for by trigger, outcome, class of status, and what the API said', async () => {
    const failed = { outcome: 'rejected', status: 422, error: 'HTTP 422: no E-Mail' } as const
    await send(0, { ...failed, key: 'a', startedAt: 10, responseBody: 'Field "mail"' })
    await send(0, { key: 'b', trigger: 'removed', body: '{"mail":1}', startedAt: 20 })
    await send(1, { key: 'c', outcome: 'unknown', status: null, error: 'timed out', startedAt: 30 })
    expect(keysOf(await read({ filter: { status: '4xx' } }))).toEqual(['a'])
    expect(keysOf(await read({ filter: { trigger: 'removed' } }))).toEqual(['b'])
    expect(keysOf(await read({ filter: { outcome: 'unknown' } }))).toEqual(['c'])
    expect(keysOf(await read({ filter: { search: 'e-mail' } }))).toEqual(['a'])
    expect(keysOf(await read({ filter: { search: 'field' } }))).toEqual([])
    expect(keysOf(await read({ filter: { search: 'MAIL', searchesBodies: true } }))).toEqual(['b', 'a'])
  })

  it('of one request are shown together, with its rows and its waits', async () => {
    await send(0, { key: 'a', seq: 3, attempt: 1, outcome: 'throttled', startedAt: 10, durationMs: 5 })
    const again = sampleAttempt({ seq: 3, attempt: 2, startedAt: 40, requestOffset: 0 })
    await send(0, { key: 'b', seq: 4 })
    await world.append(at(topics.attempts, 0), [
      { key: textKey('a'), value: world.io.encode('Attempt', again) },
    ])
    const of = { sync: SYNC, incarnation: INCARNATION, partition: 0, run: { id: 'RUN1', number: 1 } }
    const reader = new TopicsReader(world)
    const view = await readRequest(world, await reader.ofRequest({ ...of, seq: 3 }, { signal }), signal)
    expect(view).toMatchObject({ requestId: 'RUN1.0.3', request: { rows: [{ key: 'a', op: 'added' }] } })
    expect(view?.attempts).toMatchObject([
      { attempt: 1, outcome: 'throttled' },
      { attempt: 2, outcome: 'delivered', timing: { queuedMs: 25 } },
    ])
    expect(await readRequest(world, await reader.ofRequest({ ...of, seq: 5 }, { signal }), signal)).toBeNull()
  })

  it('are counted by status and error, as many as are asked for', async () => {
    const failed = { outcome: 'rejected', status: 422, error: 'no' } as const
    for (const partition of [0, 1]) await send(partition, { key: 'a', ...failed })
    await send(0, { key: 'b', status: 200 })
    const of = { sync: SYNC, incarnation: INCARNATION, run: { id: 'RUN1', number: 1 } }
    const answers = async (limit: number) =>
      await new TopicsReader(world).answers({ ...of, limit }, { signal })
    const counts = (await answers(9)).map(({ status, error, count }) =>
      JSON.stringify([status, error, count]),
    )
    expect(counts.toSorted()).toEqual(['[200,null,1]', '[422,"no",2]'])
    expect((await answers(1)).map(({ count }) => count)).toEqual([1])
  })

  it('are none of a partition that the sync does not have', async () => {
    const place = { sync: SYNC, incarnation: INCARNATION, run: { id: 'RUN1', number: 1 }, seq: 3 }
    const reader = new TopicsReader(world)
    expect(await reader.ofRequest({ ...place, partition: PARTITIONS }, { signal })).toEqual([])
  })

  it('come in pages that hold each of them once, wherever they are', async () => {
    for (const [i, key] of ['a', 'b', 'c', 'd', 'e'].entries())
      await send(i === 2 ? 1 : 0, { key, startedAt: i })
    const pages: string[][] = []
    let after: string | null = null
    do {
      const page: Awaited<ReturnType<typeof read>> = await read({ limit: 2, after })
      pages.push(keysOf(page))
      after = page.next
    } while (after !== null)
    expect(pages).toEqual([['e', 'd'], ['c', 'b'], ['a']])
  })

  it('that few match are looked for in pages that end after a while, and hold each of them once', async () => {
    for (let i = 0; i < 40; i += 1)
      await send(i % 3 === 0 ? 1 : 0, {
        key: `${i}`,
        startedAt: i,
        ...(i % 13 === 5 ? { body: 'needle' } : {}),
      })
    const pages: string[][] = []
    let after: string | null = null
    do {
      const filter = { search: 'needle', searchesBodies: true }
      const page: Awaited<ReturnType<typeof read>> = await read({ limit: 2, after, filter, longestMs: 0 })
      pages.push(keysOf(page))
      after = page.next
    } while (after !== null)
    expect(pages.flat()).toEqual(['31', '18', '5'])
    expect(pages.length).toBeGreaterThan(5)
    expect(pages.length).toBeLessThan(40)
  })

  it('are all shown, page by page, even if the one that started first ended last', async () => {
    for (const [i, startedAt] of [5, 5, 3, 4, 1].entries()) await send(0, { key: `${i}`, startedAt })
    const shown: string[] = []
    for (let after: string | null = null, more = true; more; more = after !== null) {
      const page: Awaited<ReturnType<typeof read>> = await read({ limit: 1, after })
      shown.push(...keysOf(page))
      after = page.next
    }
    expect(shown).toEqual(['4', '3', '2', '1', '0'])
  })

  it('refuse a text that is not one of their cursors', async () => {
    await expect(read({ after: 'nonsense' })).rejects.toMatchObject({ code: 'usage' })
    const wrong = Buffer.from('{"a":1}').toString('base64url')
    await expect(read({ after: wrong })).rejects.toMatchObject({ code: 'usage' })
  })
})

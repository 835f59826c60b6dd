/**
 * The fate of rows by the answers of the API, over several runs: which rows are sent again, and with which
 * key.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AttemptsPage, FailedPage, RunView } from '@sluice/contracts/api'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { syncTopics } from '@sluice/topics/topics'
import { startScriptedApi, type ScriptedAnswer, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ADDED, peopleCsv, peopleYaml, SYNC, type PeopleOptions } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

interface Scene extends AsyncDisposable {
  readonly api: ScriptedApi
  readonly project: ProjectFolder
  /** Runs the sync with these rows, as they stand in the CSV, and gives the requests that it sent. */
  run(...rows: readonly string[]): Promise<{
    readonly exitCode: number | null
    readonly view: RunView
    readonly sent: readonly string[]
  }>
}

async function openScene(options: PeopleOptions = {}): Promise<Scene> {
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await startScriptedApi())
  const files = { 'project.yaml': peopleYaml(options) }
  const project = opening.use(await projectFolder({ files, env: { API_URL: api.url }, here: true }))
  const opened = opening.move()
  return {
    api,
    project,
    async run(...rows) {
      await project.write('people.csv', peopleCsv(...rows))
      const before = api.requests.length
      const { exitCode, view } = await project.run(SYNC)
      const sent = api.requests
        .slice(before)
        .map(({ method, url, body }) => `${method} ${url} ${body}`.trim())
      return { exitCode, view, sent: sent.sort() }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** By key: the API's answers, the row's outcome, and whether the next run repeats the idempotency key. */
const ANSWERS: {
  readonly [key: string]: readonly [
    ScriptedAnswer,
    'delivered' | 'rejected' | 'unknown',
    'same key' | 'new key' | 'none',
  ]
} = {
  fine: [{ status: 204, body: '' }, 'delivered', 'none'],
  bad: [{ status: 400, body: '{"message":"name is too short"}' }, 'rejected', 'new key'],
  moved: [{ status: 302, headers: { location: '/elsewhere' } }, 'rejected', 'new key'],
  crashed: [{ status: 500, body: 'oops' }, 'unknown', 'new key'],
  slow: [{ fault: 'hang' }, 'unknown', 'same key'],
  edited: [{ fault: 'hang' }, 'unknown', 'new key'],
  cut: [{ fault: 'reset-after-reading' }, 'unknown', 'same key'],
  half: [{ body: 'x'.repeat(1000), fault: 'close-mid-answer' }, 'unknown', 'same key'],
}

describe('an answer', () => {
  const keys = Object.keys(ANSWERS)
  let scene: Scene
  let first: Awaited<ReturnType<Scene['run']>>
  let next: typeof first
  let failed: FailedPage['rows']
  let attempts: AttemptsPage['attempts']

  beforeAll(async () => {
    scene = await openScene({ sync: 'timeout: 700ms' })
    for (const [key, [answer]] of Object.entries(ANSWERS))
      scene.api.on({ url: `/people/${key}` }, answer, { times: 1 })
    first = await scene.run(...keys.map(key => `${key},Ann`))
    failed = await scene.project.failed(SYNC)
    attempts = await scene.project.attempts('--run', first.view.id)
    next = await scene.run(...keys.map(key => `${key},${key === 'edited' ? 'Anna' : 'Ann'}`))
  })
  afterAll(() => scene[Symbol.asyncDispose]())

  it('decides the outcome of its own row only, and a row that did not arrive makes a warning', () => {
    const count = (outcome: string): number =>
      Object.values(ANSWERS).filter(([, expected]) => expected === outcome).length
    expect(first).toMatchObject({ exitCode: 3, view: { status: 'warning', error: null } })
    expect(first.view.triggers.added).toEqual({
      detected: keys.length,
      delivered: count('delivered'),
      rejected: count('rejected'),
      unknown: count('unknown'),
      unsent: 0,
      requests: keys.length,
      attempts: keys.length,
    })
  })

  it.each(Object.entries(ANSWERS))(
    'to %s is shown in its attempt and its failed row',
    (key, [answer, outcome]) => {
      const attempt = attempts.find(({ keys }) => keys.includes(key))
      expect(attempt).toMatchObject({ outcome, attempt: 1, trigger: 'added' })
      const row = failed.find(entry => entry.key === key)
      if (outcome === 'delivered') expect(row).toBeUndefined()
      else
        expect(row).toMatchObject({ op: 'added', outcome, attempts: 1, runs: 1, error: expect.any(String) })
      if (answer.fault === undefined) expect(attempt?.status).toBe(answer.status)
      if (key === 'bad') expect(row?.error).toContain('name is too short')
    },
  )

  it('that failed is tried again by the next run, with the row as it is then', async () => {
    expect(next).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    const again = keys.filter(key => key !== 'fine')
    expect(next.sent).toEqual(
      again.map(key => `PUT /people/${key} {"name":"${key === 'edited' ? 'Anna' : 'Ann'}"}`).sort(),
    )
    expect(await scene.project.failed(SYNC)).toEqual([])
  })

  it.each(Object.entries(ANSWERS))('to %s decides whether its idempotency key is kept', (key, [, , kept]) => {
    const requests = scene.api.requests.filter(({ url }) => url === `/people/${key}`)
    const used = requests.map(({ headers }) => headers['idempotency-key'])
    expect(used).not.toContain(undefined)
    if (kept === 'none') expect(used).toHaveLength(1)
    else expect(new Set(used).size).toBe(kept === 'same key' ? 1 : 2)
  })
})

describe('a destination that throttles', () => {
  it('gets no request for as long as it asks, and the pause uses up no attempt', async () => {
    await using scene = await openScene({ destination: 'limits: { concurrency: 1 }' })
    scene.api.on({}, { status: 429, headers: { 'retry-after': '1' } }, { times: 1 })
    const { exitCode, view } = await scene.run('1,Ann', '2,Bob')
    expect(exitCode).toBe(0)
    expect(view.triggers.added).toMatchObject({ detected: 2, delivered: 2, requests: 2, attempts: 2 })
    const [throttled, again, other] = scene.api.requests
    expect(scene.api.requests).toHaveLength(3)
    expect(Math.min(again?.arrivedAt ?? 0, other?.arrivedAt ?? 0) - (throttled?.readAt ?? 0)).toBeGreaterThan(
      990,
    )
    expect(again).toMatchObject({ url: throttled?.url, body: throttled?.body })
    expect(again?.headers['idempotency-key']).toBe(throttled?.headers['idempotency-key'])
    expect(await scene.project.failed(SYNC)).toEqual([])
  })

  it('gets none until its limit begins anew, where it says nothing but that', async () => {
    await using scene = await openScene({ destination: 'limits: { concurrency: 1 }' })
    const limit = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '2' }
    scene.api.on({}, { status: 429, headers: limit }, { times: 1 })
    expect((await scene.run('1,Ann')).exitCode).toBe(0)
    const [throttled, again] = scene.api.requests
    expect((again?.arrivedAt ?? 0) - (throttled?.readAt ?? 0)).toBeGreaterThan(1_990)
  })
})

describe('a row that was not delivered', () => {
  it('is sent again only while it differs from the destination', async () => {
    await using scene = await openScene()
    const { api, project, run } = scene
    const failedKeys = async (): Promise<readonly string[]> =>
      (await project.failed(SYNC)).map(({ key, op, outcome }) => `${op} ${key} ${outcome}`).sort()

    api.on({ url: '/people/gone' }, { status: 400 }, { times: 1 })
    const first = await run('gone,A', 'reverted,B', 'lost,C', 'unknown-to-api,D')
    expect(first.view.triggers.added).toMatchObject({ detected: 4, delivered: 3, rejected: 1 })
    expect(await failedKeys()).toEqual(['added gone rejected'])

    api.on({ url: '/people/reverted' }, { status: 400 }, { times: 1 })
    api.on({ url: '/people/lost' }, { fault: 'reset-after-reading' }, { times: 1 })
    api.on({ url: '/people/unknown-to-api' }, { status: 404 }, { times: 1 })
    const second = await run('reverted,BB')
    expect(second.sent).toEqual([
      'DELETE /people/lost',
      'DELETE /people/unknown-to-api',
      'PUT /people/reverted {"name":"BB"}',
    ])
    expect(second.view.triggers).toMatchObject({
      added: { detected: 0 },
      changed: { detected: 1, rejected: 1 },
      removed: { detected: 2, rejected: 1, unknown: 1 },
    })
    expect(await failedKeys()).toEqual([
      'changed reverted rejected',
      'removed lost unknown',
      'removed unknown-to-api rejected',
    ])

    // A 404 confirms the removal whose outcome was unknown.
    api.on({ url: '/people/lost' }, { status: 404 }, { times: 1 })
    const third = await run('reverted,B')
    expect(third.sent).toEqual(['DELETE /people/lost', 'DELETE /people/unknown-to-api'])
    expect(third).toMatchObject({
      exitCode: 0,
      view: { triggers: { changed: { detected: 0 }, removed: { detected: 2, delivered: 2 } } },
    })
    expect(await failedKeys()).toEqual([])

    expect(await run('reverted,B')).toMatchObject({ exitCode: 0, sent: [] })
  })
})

describe('an op without a trigger', () => {
  it('is settled once: it sends nothing, then or later, and counts as delivered', async () => {
    await using scene = await openScene({ triggers: `\n  added: { ${ADDED} }` })
    const { project, run } = scene
    await run('1,Ann', '2,Bob', '3,Cid')
    const before = await changesIn(project)
    const edited = await run('1,Anna', '3,Cid')
    expect(edited).toMatchObject({ exitCode: 0, sent: [], view: { status: 'success' } })
    expect(edited.view.triggers).toEqual({ added: expect.objectContaining({ detected: 0 }) })
    expect(await changesIn(project)).toBe(before + 2)

    expect(await run('1,Anna', '3,Cid')).toMatchObject({ exitCode: 0, sent: [] })
    expect(await changesIn(project)).toBe(before + 2)
    expect(await project.failed(SYNC)).toEqual([])

    const back = await run('1,Anna', '2,Bob', '3,Cid')
    expect(back.sent).toEqual(['PUT /people/2 {"name":"Bob"}'])
  })
})

describe('a row that cannot be rendered', () => {
  const triggers = `
  added:
    batch: { size: 100 }
    method: POST
    path: /people
    body: { json: '[{% for row in rows %}{"id":{{ row.id }},"n":{{ row.name }}},{% endfor %}]' }`

  it('is rejected alone among a hundred', async () => {
    // Without a cast, DuckDB would guess another type of the column once the row is corrected.
    const sql = `select id, name::varchar as name from 'people.csv'`
    await using scene = await openScene({ sql, triggers, sync: 'partitions: 1' })
    const rows = Array.from({ length: 100 }, (_, index) => `${index + 1},${index === 41 ? 'oops' : '7'}`)
    const { exitCode, view } = await scene.run(...rows)
    expect(exitCode).toBe(3)
    expect(view).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 100, delivered: 99, rejected: 1, unknown: 0, unsent: 0 } },
    })
    const arrived = scene.api.requests.flatMap(({ body }) => {
      const rows: { readonly id: number }[] = JSON.parse(body)
      return rows
    })
    expect(arrived.map(({ id }) => id).sort((a, b) => a - b)).toEqual(
      rows.map((_, index) => index + 1).filter(id => id !== 42),
    )
    const [failed, ...others] = await scene.project.failed(SYNC)
    expect(others).toEqual([])
    expect(failed).toMatchObject({
      key: '42',
      op: 'added',
      outcome: 'rejected',
      status: null,
      attempts: 0,
      runs: 1,
    })
    expect(failed?.error).toContain('oops')

    const mended = await scene.run(...rows.map(row => row.replace('oops', '8')))
    expect(mended).toMatchObject({ exitCode: 0, sent: ['POST /people [{"id":42,"n":8}]'] })
  })
})

describe('a first run that skips what exists', () => {
  it('sends nothing, and later runs send only rows that have changed since', async () => {
    await using scene = await openScene({ sync: 'firstRun: skip-existing' })
    const first = await scene.run('1,Ann', '2,Bob', '3,Cid')
    expect(first).toMatchObject({
      exitCode: 0,
      sent: [],
      view: { rowsRead: 3, triggers: { added: { detected: 0 } } },
    })
    const next = await scene.run('1,Ann', '2,Bobby', '4,Dee')
    expect(next).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expect(next.sent).toEqual([
      'DELETE /people/3',
      'PUT /people/2 {"name":"Bobby"}',
      'PUT /people/4 {"name":"Dee"}',
    ])
  })
})

/** Counts the changes in the project's log, settled ones among them. */
async function changesIn(project: ProjectFolder): Promise<number> {
  const { signal } = new AbortController()
  const file = join(project.dir, '.sluice/log.db')
  await using log = createSqliteLog({ file })
  await using codec = createSqliteCodec({ file })
  const topic = syncTopics('sluice', SYNC).changes
  const partitions = (await log.partitionsOf(topic, { signal })) ?? 0
  let changes = 0
  for (let partition = 0; partition < partitions; partition += 1) {
    const { low, end } = await log.offsets({ topic, partition }, { signal })
    if (low === end) continue
    for await (const { records } of log.read({ topic, partition }, { from: low, to: end, signal })) {
      const values = records.flatMap(({ value }) => (value === null ? [] : [value]))
      const decoded = await codec.decode(values, { signal })
      changes += decoded.filter(({ name }) => name === 'sluice.Change').length
    }
  }
  return changes
}

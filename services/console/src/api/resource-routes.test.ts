/** The routes of resources over real HTTP, with a real log behind them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problem, resourceView } from '@sluice/contracts/api'
import { documentsView, resourceHistoryView, resourceSetView } from '@sluice/contracts/api/resources'
import { storedCatalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { endOf } from '@sluice/flow/ends'
import { writeResources } from '@sluice/resources/change-resources'
import { createLogger } from '@sluice/runtime/logger'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { openTestLog } from '@sluice/testkit/test-log'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const TOKENS = { write: 'write-token-0123', read: 'read-token-0123' }
const { signal } = new AbortController()
const logger = createLogger({ name: 'test', level: 'silent' })
const DEFINITION = sampleDefinition({})
const SYNC = DEFINITION.sync.name

let opened: AsyncDisposableStack
let url: string

beforeAll(async () => {
  await using opening = new AsyncDisposableStack()
  const log = opening.use(await openTestLog({ partitions: 0 }))
  const { sync, model, source, destination: target } = DEFINITION
  const records = [sync, model, source, target].map(spec => ({
    ...{ kind: spec.kind, name: spec.name },
    spec: JSON.stringify(spec),
  }))
  await writeResources(log, records, { owner: { project: 'shop' }, signal, by: 'git' })
  const pipeline = {
    ...{ ...log, logger, newRunId: () => 'R', servicesElsewhere: true, vault: null },
    start: (_only: unknown, { drain }: { readonly drain: AbortSignal }) => endOf(drain),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const control = new ProjectControl(storedCatalog(log), {
    ...{ hasHistory: true, open: () => Promise.resolve(pipeline), assertSecrets: () => Promise.resolve() },
    openNextRun: () => Promise.reject(new Error('no source is here')),
    openNoticeSenders: () => Promise.reject(new Error('no alert is told of here')),
  })
  const access = { kind: 'tokens', tokens: TOKENS } as const
  const asked = new AskedRuns({ logger, cancel: signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  const api = opening.use(await createApi({ access, openControl, asked, logger, badLoginMs: 1 }))
  const { port } = opening.use(await listen(api.listener))
  url = `http://127.0.0.1:${port}/api/v1`
  opened = opening.move()
})
afterAll(() => opened.disposeAsync())

interface Sent {
  readonly body?: unknown
  readonly yaml?: string
  readonly ifMatch?: string
  readonly token?: string
}

async function ask(method: string, path: string, { body, yaml, ifMatch, token = TOKENS.write }: Sent = {}) {
  const type = yaml === undefined ? 'application/json' : 'application/yaml'
  const text = yaml ?? (body === undefined ? undefined : JSON.stringify(body))
  const headers = {
    authorization: `Bearer ${token}`,
    ...(text === undefined ? {} : { 'content-type': type }),
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
  }
  const response = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(text === undefined ? {} : { body: text }),
  })
  const json: unknown = await response.json()
  return { status: response.status, etag: response.headers.get('etag'), json }
}

const destination = (name: string, more: object = {}) => ({
  ...{ kind: 'destination', name, baseUrl: 'https://api.example.com' },
  ...more,
})

describe('a resource', () => {
  it('is written as JSON, as its own answer, and as YAML, and says its version', async () => {
    const created = await ask('PUT', '/resources/destination/one', { body: destination('one') })
    expect([created.status, created.etag]).toEqual([200, '"1"'])
    expect(resourceSetView.parse(created.json)).toMatchObject({
      created: true,
      version: 1,
      changedBy: 'operator',
    })
    const got = await ask('GET', '/resources/destination/one', { token: TOKENS.read })
    const view = resourceView.parse(got.json)
    const again = { ...view, spec: { ...view.spec, title: 'One' } }
    const updated = await ask('PUT', '/resources/destination/one', { body: again })
    expect(updated.json).toMatchObject({ created: false, version: 2, changed: ['title'] })
    const yaml = 'kind: destination\nname: one\nbaseUrl: https://other.example.com\n'
    const third = await ask('PUT', '/resources/destination/one', { yaml, ifMatch: '"2"' })
    expect(third.json).toMatchObject({ version: 3, changed: ['title', 'baseUrl'] })
  })

  it('keeps the text of its author, in each version, for as long as the fields say the same', async () => {
    const path = '/resources/destination/commented'
    const texts = ['# of the shop', '# of the shop, agreed in May'].map(
      comment => `kind: destination ${comment}\nname: commented\nbaseUrl: https://api.example.com\n`,
    )
    for (const yaml of texts) await ask('PUT', path, { yaml })
    const view = resourceView.parse((await ask('GET', path)).json)
    expect(view).toMatchObject({ version: 2, text: texts[1] })
    const same = await ask('PUT', path, { body: { ...view, text: 'another' } })
    expect(same.json).toMatchObject({ version: 3, changed: [], text: texts[1] })
    const changed = { ...view, version: 3, spec: { ...view.spec, title: 'Shop' } }
    const other = await ask('PUT', path, { body: changed })
    expect(resourceSetView.parse(other.json)).toMatchObject({ spec: { title: 'Shop' } })
    expect(resourceSetView.parse(other.json).text).toBeUndefined()
    const back = await ask('POST', `${path}/rollback`, { body: { to: 1 } })
    expect(back.json).toMatchObject({ text: texts[0] })
    const { versions } = resourceHistoryView.parse((await ask('GET', `${path}/history`)).json)
    expect(versions.map(({ text }) => text)).toEqual([texts[0], undefined, texts[1], texts[1], texts[0]])
  })

  it('is stored without a text that is longer than what is kept', async () => {
    const path = '/resources/destination/long'
    const yaml = `# ${'x'.repeat(200_000)}\nkind: destination\nname: long\nbaseUrl: https://api.example.com\n`
    expect((await ask('PUT', path, { yaml })).status).toBe(200)
    const view = resourceView.parse((await ask('GET', path)).json)
    expect([view.spec['baseUrl'], view.text]).toEqual(['https://api.example.com', undefined])
  })

  it('is not overwritten by a client that does not know its last version', async () => {
    const path = '/resources/destination/two'
    await ask('PUT', path, { body: destination('two') })
    await ask('PUT', path, { body: { ...destination('two', { title: 'first' }), version: 1 } })
    const second = { ...destination('two', { title: 'second' }), version: 1 }
    const refused = await ask('PUT', path, { body: second })
    expect(problem.parse(refused.json)).toMatchObject({
      ...{ status: 409, versions: { yours: 1, present: 2 } },
      errors: [{ field: 'title' }],
    })
    const { version: _, ...plain } = second
    expect((await ask('PUT', path, { body: plain, ifMatch: '"1"' })).status).toBe(412)
    expect((await ask('PUT', path, { body: plain, ifMatch: 'W/x' })).status).toBe(400)
    expect((await ask('PUT', path, { body: { ...plain, version: 0 } })).status).toBe(409)
    expect((await ask('DELETE', path, { ifMatch: '"1"' })).status).toBe(412)
    expect((await ask('GET', path)).json).toMatchObject({ version: 2, spec: { title: 'first' } })
    expect((await ask('PUT', path, { body: plain, ifMatch: '*' })).status).toBe(200)
  })

  it('that is wrong is refused with the field, the line and the nearest name', async () => {
    const yaml = `kind: model\nname: m\nsource: ${DEFINITION.source.name}x\nsql: select 1\nprimarykey: id\n`
    const refused = await ask('PUT', '/resources/model/m', { yaml })
    expect([refused.status, problem.parse(refused.json).errors]).toMatchObject([
      422,
      [
        {
          line: 3,
          field: 'source',
          message: expect.stringContaining(`did you mean \`${DEFINITION.source.name}\``),
        },
        { line: 5, field: 'primarykey', message: expect.stringContaining('did you mean `primaryKey`') },
      ],
    ])
    const other = await ask('PUT', '/resources/destination/three', { body: destination('four') })
    expect(other).toMatchObject({
      status: 422,
      json: { detail: expect.stringContaining('the address is that of') },
    })
    for (const text of ['', 'a: [', '- 1', `${yaml}---\n${yaml}`, '\u0000'])
      expect((await ask('PUT', '/resources/model/m', { yaml: text })).status).toBe(422)
    const env = await ask('PUT', '/resources/destination/five', {
      yaml: 'kind: destination\nname: five\nbaseUrl: ${HOME}\n',
    })
    expect(env).toMatchObject({
      status: 422,
      json: { detail: expect.stringContaining('a server fills in no variables') },
    })
  })

  it('keeps a text with a reference as it is, however often it is read and written', async () => {
    const path = '/resources/destination/texts'
    const yaml =
      'kind: destination\nname: texts\nbaseUrl: https://a.example.com\ntitle: $${X}\nheaders: { a: "$${Y} ${secret:k}" }\n'
    await ask('PUT', path, { yaml })
    const first = resourceView.parse((await ask('GET', path)).json)
    expect(first.spec).toMatchObject({ title: '${X}', headers: { a: '$${Y} ${secret:k}' } })
    const second = await ask('PUT', path, { body: { spec: first.spec } })
    expect(second.json).toMatchObject({ created: false, changed: [], spec: first.spec })
  })

  it('from the folder of a project is changed only by a client that takes it over', async () => {
    const path = `/resources/sync/${SYNC}`
    const view = resourceView.parse((await ask('GET', path)).json)
    expect(view).toMatchObject({ project: 'shop', changedBy: 'git' })
    const body = { ...view, spec: { ...view.spec, timeout: '7s' } }
    expect(await ask('PUT', path, { body })).toMatchObject({
      ...{ status: 409, json: { detail: expect.stringMatching(/the project `shop`.*`--take-over`/) } },
    })
    const taken = await ask('PUT', path, { body: { ...body, takeOver: true } })
    expect(taken.json).toMatchObject({ project: '', changed: ['timeout'] })
  })

  it('that others use is not deleted, and the message names them', async () => {
    const refused = await ask('DELETE', `/resources/destination/${DEFINITION.destination.name}?takeOver=true`)
    expect(refused).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining(`the sync \`${SYNC}\``) },
    })
    await ask('PUT', '/resources/destination/unused', { body: destination('unused') })
    expect((await ask('DELETE', '/resources/destination/unused')).json).toEqual({
      ...{ removed: { kind: 'destination', name: 'unused' }, pending: false },
    })
    expect((await ask('GET', '/resources/destination/unused')).status).toBe(404)
  })

  it('has a history, and goes back to what it was, also after it was deleted', async () => {
    const path = '/resources/destination/past'
    await ask('PUT', path, { body: destination('past', { title: 'a' }) })
    await ask('PUT', path, { body: destination('past', { title: 'b' }) })
    expect((await ask('POST', `${path}/rollback`, { body: { version: 1 } })).status).toBe(409)
    expect((await ask('POST', `${path}/rollback`, { body: {} })).json).toMatchObject({
      version: 3,
      spec: { title: 'a' },
    })
    await ask('DELETE', path)
    expect((await ask('POST', `${path}/rollback`, { body: { to: 2 } })).json).toMatchObject({
      ...{ created: true, version: 5, spec: { title: 'b' } },
    })
    const { versions } = resourceHistoryView.parse((await ask('GET', `${path}/history`)).json)
    expect(
      versions.map(({ version, action, fields, spec }) => [version, action, fields, spec?.['title']]),
    ).toEqual([
      [5, 'create', [], 'b'],
      [4, 'delete', [], undefined],
      [3, 'update', ['title'], 'a'],
      [2, 'update', ['title'], 'b'],
      [1, 'create', [], 'a'],
    ])
    expect((await ask('POST', `${path}/rollback`, { body: { to: 4 } })).status).toBe(404)
    expect((await ask('POST', `${path}/rollback`, { body: { to: 99 } })).status).toBe(404)
    expect((await ask('GET', '/resources/sync/none/history')).status).toBe(404)
  })

  it('is not changed with the token for reading', async () => {
    for (const [method, path] of [
      ['PUT', '/resources/destination/r'],
      ['DELETE', '/resources/destination/r'],
      ['POST', '/apply'],
      ['POST', '/sources/s/rows'],
    ] as const)
      expect((await ask(method, path, { body: {}, token: TOKENS.read })).status).toBe(403)
  })
})

it('checks documents that are not stored, together with stored resources', async () => {
  const model = {
    kind: 'model',
    name: 'new',
    source: DEFINITION.source.name,
    sql: 'select 1',
    primaryKey: 'id',
  }
  const yaml = `kind: sync\nname: a\nmodel: new\ndestination: nowhere\ntriggers: { added: { method: POST, path: '/{{ row.id' } }\n`
  const checked = await ask('POST', '/validate', { body: { documents: [model, { yaml, file: 'a.yaml' }] } })
  const { ok, problems } = documentsView.parse(checked.json)
  expect([ok, problems.map(({ file, line, field }) => [file, line, field])]).toEqual([
    false,
    [
      ['a.yaml', 4, 'destination'],
      ['a.yaml', 5, 'triggers.added.path'],
    ],
  ])
  expect((await ask('POST', '/validate', { body: { documents: [model] } })).json).toEqual({
    ...{ ok: true, problems: [], resources: [{ kind: 'model', name: 'new' }] },
  })
})

describe('applying a project', () => {
  const resource = (name: string, more: object = {}) => {
    const { kind, name: _, ...spec } = destination(name, more)
    return { kind, name, spec }
  }
  const apply = (project: string, names: readonly object[], more: object = {}) =>
    ask('POST', '/apply', { body: { project, resources: names, ...more } })

  it('changes what differs, and prunes only its own', async () => {
    expect((await apply('a', [resource('a1'), resource('a2')])).json).toEqual({
      changes: ['a1', 'a2'].map(name => ({ kind: 'destination', name, action: 'create', fields: [] })),
    })
    await apply('b', [resource('b1')])
    const wanted = { project: 'a', resources: [resource('a1', { title: 't' })], prune: true }
    const diff = await ask('POST', '/diff', { body: wanted })
    expect(diff.json).toEqual({
      changes: [
        {
          ...{ kind: 'destination', name: 'a1', action: 'update', fields: ['title'] },
          values: [{ field: 'title', after: 't' }],
        },
        { kind: 'destination', name: 'a2', action: 'delete', fields: [] },
      ],
    })
    expect((await ask('POST', '/apply', { body: wanted })).json).toEqual(diff.json)
    expect((await ask('GET', '/resources/destination/a2')).status).toBe(404)
    expect((await ask('GET', '/resources/destination/b1')).json).toMatchObject({ project: 'b', version: 1 })
    expect((await ask('POST', '/apply', { body: wanted })).json).toEqual({ changes: [] })
  })

  it('changes nothing if a resource belongs to another project, unless the client says so', async () => {
    await apply('c', [resource('shared')])
    const refused = await apply('d', [resource('d1'), resource('shared', { title: 'mine' })])
    expect(refused).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining('the project `c`') },
    })
    expect((await ask('GET', '/resources/destination/d1')).status).toBe(404)
    const taken = await apply('d', [resource('shared', { title: 'mine' })], { takeOver: true })
    expect(taken.json).toMatchObject({ changes: [{ takenFrom: 'c', fields: ['title'] }] })
  })

  it('treats two folders of the same name as two projects, until one of them has a name', async () => {
    const mine = { folder: '/home/ann/sluice' }
    const other = { folder: '/home/bob/sluice' }
    await apply('alike', [resource('alike')], mine)
    expect((await apply('alike', [resource('alike')], other)).json).toEqual({ changes: [] })
    const edited = [resource('alike', { title: 'bob’s' })]
    expect(await apply('alike', edited, other)).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining('of /home/ann/sluice, and this folder is /home/bob/sluice') },
    })
    expect((await apply('alike', [], { ...other, prune: true })).json).toEqual({ changes: [] })
    expect((await apply('alike', edited)).json).toMatchObject({ changes: [{ fields: ['title'] }] })
    expect((await apply('alike', [], { ...mine, prune: true })).json).toMatchObject({
      changes: [{ action: 'delete' }],
    })
  })

  it('prunes nothing that another project uses', async () => {
    const sync = { ...DEFINITION.sync, name: 'user', destination: 'e1' }
    await apply('e', [resource('e1')])
    const {
      kind: _,
      name,
      ...spec
    } = JSON.parse(JSON.stringify({ ...sync, timeout: '1s' })) as Record<string, unknown>
    expect((await apply('f', [{ kind: 'sync', name, spec }])).status).toBe(200)
    const refused = await apply('e', [], { prune: true })
    expect(refused).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining('the sync `user`') },
    })
    expect((await ask('GET', '/resources/destination/e1')).status).toBe(200)
  })
})

describe('a name or a version of a stranger', () => {
  it.each([
    ...['/resources/destination/..', '/resources/destination/%2e%2e', '/resources/destination/a%2fb'],
    ...['/resources/destination/%00', '/resources/destination/A', '/resources/destination/__proto__'],
    ...['/resources/deletion/s', '/resources/signatures/wanted', '/resources/incarnation/s'],
    ...[
      '/resources/history/one',
      '/resources/set/one',
      '/resources/constructor/one',
      '/resources/destination/',
    ],
  ])('%s is written by nobody', async path => {
    const before = await ask('GET', '/resources')
    const answer = await ask('PUT', path, { body: destination('one') })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect((await ask('GET', '/resources')).json).toEqual(before.json)
  })

  it.each(['"0"', '"-1"', '"1e9"', '"x"', 'W/"1"', '1', '"1", "2"'])(
    'If-Match: %s changes nothing that has another version',
    async ifMatch => {
      const path = '/resources/destination/matched'
      if ((await ask('GET', path)).status === 404) {
        await ask('PUT', path, { body: destination('matched') })
        await ask('PUT', path, { body: destination('matched', { title: 'second' }), ifMatch: '"1"' })
      }
      const answer = await ask('PUT', path, { body: destination('matched', { title: ifMatch }), ifMatch })
      expect([ifMatch, answer.status]).toEqual([
        ifMatch,
        expect.toSatisfy((status: number) => status >= 400 && status < 500),
      ])
      expect(resourceView.parse((await ask('GET', path)).json).spec['title']).toBe('second')
    },
  )

  it.each(['${HOME}', '${SLUICE_TOKEN}', '${file:/etc/passwd}', '${file:.sluice/key}', '${PATH:-x}'])(
    '%s in a document is not filled in',
    async text => {
      const answer = await ask('PUT', '/resources/destination/filled', {
        body: destination('filled', { title: text }),
      })
      if (answer.status !== 422)
        expect(
          resourceView.parse((await ask('GET', '/resources/destination/filled')).json).spec['title'],
        ).toBe(text)
      else expect(JSON.stringify(answer.json)).not.toMatch(/root:|\/usr\/bin/)
    },
  )
})

/** `sluice preview` shows what the next run sends, and changes nothing. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCli } from '@sluice/cli/run-cli'
import type { PreviewView } from '@sluice/contracts/api'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { bothProfiles, type Opened } from './profiles.ts'
import { finished, projectFolder, type Finished, type ProjectFolder } from './project-folder.ts'

const SYNC = 'people'
const KEY = 'a-secret-of-the-api'

const PROJECT = String.raw`
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: |
  select id, name, 9007199254740992 + id as big, (id + 0.5)::decimal(30, 20) as amount,
    [id, null] as list, {'n': name}::json as doc, make_timestamp(id * 1000003) as at
  from 'people.csv'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}/v1/
allowPrivateNetwork: true
headers: { Authorization: 'Bearer \${secret:api-key}', X-Plain: shown }
query: { tenant: 'e u', signed: '\${secret:api-key}' }
---
kind: sync
name: ${SYNC}
model: people
destination: api
triggers:
  added:
    batch: { size: 4 }
    method: POST
    path: /people
    headers: { x-plain: '{{ rows.size }}' }
    body: { json: '[{% for row in rows %}{{ row | json }},{% endfor %}]' }
  changed:
    method: PATCH
    path: '/people/{{ id }}'
    body: { fields: { was: { template: '{{ previous.name }}' }, is: name, big: big } }
  removed: { method: DELETE, path: '/people/{{ name }}?id={{ id }}' }
`.replaceAll('\\$', '$')

const NAMES = ['Ann', 'Böb "B"', 'C/C', '\u{feff}Dee', 'E', 'F', 'G', 'H', 'I']

function csv(names: readonly (string | null)[]): string {
  const rows = names.flatMap((name, id) => (name === null ? [] : [`${id},"${name.replaceAll('"', '""')}"`]))
  return ['id,name', ...rows, ''].join('\n')
}

/** Headers that a preview does not show, since they belong to an attempt or to the connection. */
const OF_THE_ATTEMPT = ['connection', 'content-length', 'host', 'idempotency-key', 'transfer-encoding']

/** The requests that arrived, in the form of the preview. */
function asPreviewed(api: ScriptedApi, { method, url, headers, body }: RecordedRequest) {
  const shown = Object.entries(headers).filter(([name]) => !OF_THE_ATTEMPT.includes(name))
  return {
    method,
    url: `${api.url}${url}`.replaceAll(KEY, '***'),
    headers: Object.fromEntries(shown.map(([name, value]) => [name, value.includes(KEY) ? '***' : value])),
    body: body === '' ? null : body,
  }
}

function sorted<T>(requests: readonly T[]): readonly T[] {
  return requests.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

async function preview(project: Pick<ProjectFolder, 'sluice'>, ...options: readonly string[]) {
  const { exitCode, stdout, stderr } = await project.sluice('preview', SYNC, ...options, '--json')
  expect(stderr).toBe('')
  const view: PreviewView = JSON.parse(stdout)
  return { exitCode, view, stdout }
}

/** Runs the command in the process of the test, which is faster than a process of its own. */
function here(
  project: ProjectFolder,
  env: { readonly [name: string]: string },
): Pick<ProjectFolder, 'sluice'> {
  return {
    async sluice(...args): Promise<Finished> {
      const printed = { stdout: '', stderr: '' }
      const exitCode = await runCli({
        argv: [...args, '--dir', project.dir],
        cwd: project.dir,
        env,
        stdout: { write: text => (printed.stdout += text) },
        stderr: { write: text => (printed.stderr += text) },
        signal: new AbortController().signal,
      })
      return { exitCode, ...printed }
    },
  }
}

/** Files that only say that a process had the log open, or that a killed process left. */
const OF_THE_LOCK = /-(shm|owner|lock-journal)$/

/** Every file below a folder with a hash of its bytes. */
async function hashes(dir: string): Promise<{ readonly [file: string]: string }> {
  const found: { [file: string]: string } = {}
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    if (OF_THE_LOCK.test(file)) continue
    found[file] = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(file))
          .digest('hex')
      : 'folder'
  }
  return found
}

describe.for(bothProfiles())('sluice preview, $name', profile => {
  let api: ScriptedApi
  let opened: Opened
  let project: ProjectFolder

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    opened = await profile.open({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES) },
      env: { API_URL: api.url, SLUICE_SECRET_API_KEY: KEY, SLUICE_SECRET_API_KEY_FOR: '127.0.0.1' },
    })
    project = opened.project
    onTestFailed(() => void process.stderr.write(opened.logs()))
  })
  afterEach(async () => {
    await opened[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** All data that a preview might change. */
  const standing = async () => [await hashes(project.dir), await opened.stored(SYNC).catch(() => 'nothing')]

  /** Previews, runs and compares. Returns the preview. */
  const foreseen = async (): Promise<PreviewView> => {
    const before = await standing()
    const { view, stdout } = await preview(project)
    expect(await standing()).toEqual(before)
    expect(api.requests).toEqual([])
    expect(stdout).not.toContain(KEY)
    const { view: run } = await project.run(SYNC)
    const { added, changed, removed } = run.triggers
    expect(view.counts).toEqual({
      added: added?.detected,
      changed: changed?.detected,
      removed: removed?.detected,
    })
    const shown = view.requests.map(({ method, url, headers, body }) => ({ method, url, headers, body }))
    expect(sorted(shown)).toEqual(sorted(api.requests.map(request => asPreviewed(api, request))))
    api.reset()
    return view
  }

  it('shows, byte for byte, what the next run sends, and leaves everything as it is', async () => {
    const first = await foreseen()
    expect(first).toMatchObject({ sync: SYNC, counts: { added: 9, changed: 0, removed: 0 } })
    expect(Object.keys(first)).toEqual(['sync', 'counts', 'requests'])
    expect(first.requests.map(({ keys }) => keys.length)).toEqual([4, 4, 1])
    expect(first.requests[0]?.url).toBe(`${api.url}/v1/people?tenant=e%20u&signed=***`)
    expect(first.requests[0]?.headers).toEqual({
      authorization: '***',
      'content-type': 'application/json',
      'user-agent': 'sluice/0.1.0',
      'x-plain': '4',
    })
    expect(first.requests[0]?.body).toContain('"amount":0.50000000000000000000')

    await project.write('people.csv', csv(['Ann', 'Bob', null, null, 'E', 'F!', 'G', 'H', 'I', 'J', 'K']))
    api.on({ method: 'PATCH' }, { status: 422 })
    const second = await foreseen()
    expect(second.counts).toEqual({ added: 2, changed: 2, removed: 2 })
    expect(second.requests.map(({ trigger }) => trigger)).toEqual([
      'removed',
      'removed',
      'changed',
      'changed',
      'added',
    ])
    // A row that was not delivered is sent again, as it is then.
    await project.write('people.csv', csv(['Ann', 'Bob', null, null, 'E', 'F?', 'G', 'H', 'I', 'J', 'K']))
    const third = await foreseen()
    expect(third.requests.map(({ body }) => body)).toEqual([
      expect.stringContaining('"is":"Bob"'),
      expect.stringContaining('{"was":"F","is":"F?"'),
    ])
    const last = await foreseen()
    expect(last).toEqual({ sync: SYNC, counts: { added: 0, changed: 0, removed: 0 }, requests: [] })
  })
})

describe('sluice preview of a folder', () => {
  let api: ScriptedApi
  let project: ProjectFolder
  /** Runs the usual command. */
  let cli: Pick<ProjectFolder, 'sluice'>

  const opened = async (files: { readonly [file: string]: string } = {}, names = NAMES) => {
    project = await projectFolder({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(names), ...files },
      env: { API_URL: api.url, SLUICE_SECRET_API_KEY: KEY, SLUICE_SECRET_API_KEY_FOR: '127.0.0.1' },
    })
    cli = here(project, {
      API_URL: api.url,
      SLUICE_SECRET_API_KEY: KEY,
      SLUICE_SECRET_API_KEY_FOR: '127.0.0.1',
    })
    return project
  }
  beforeEach(async () => {
    api = await startScriptedApi()
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it('chooses rows by key, trigger and number', async () => {
    await opened()
    await project.run(SYNC)
    await project.write('people.csv', csv(['Ann!', 'Bob', null, null, 'E', 'F', 'G', 'H', 'I', 'J', 'K']))
    const keysOf = async (...options: readonly string[]) => {
      const { view } = await preview(cli, ...options)
      expect(view.counts).toEqual({ added: 2, changed: 2, removed: 2 })
      return view.requests.map(({ trigger, keys }) => `${trigger} ${keys.join()}`)
    }
    expect(await keysOf('--key', '9')).toEqual(['added 9'])
    expect(await keysOf('--key', '4')).toEqual([])
    expect(await keysOf('--trigger', 'changed')).toEqual(['changed 0', 'changed 1'])
    expect(await keysOf('--trigger', 'added', '--rows', '1')).toEqual(['added 9'])
    expect(await keysOf('--rows', '3')).toEqual(['removed 2', 'removed 3', 'changed 0'])
  })

  it('shows rows that would not go out, with the reason, and exits with 3', async () => {
    await opened({ 'people.csv': 'id,name\n0,Ann\n1,\n2,Cid\n2,Cid\n,Dan\n' })
    const path = "'/people/{{ name }}'"
    const single = PROJECT.replace(/ {4}batch:.*\n/, '')
    await project.write('project.yaml', single.replace('path: /people\n', `path: ${path}\n`))
    const { exitCode, view } = await preview(cli)
    expect(exitCode).toBe(3)
    expect(view).toMatchObject({
      counts: { added: 2, changed: 0, removed: 0 },
      requests: [{ keys: ['0'] }],
      rejected: [
        {
          trigger: 'added',
          keys: ['1'],
          error: expect.stringMatching(/^path: a value in the path is null or empty/),
        },
      ],
      invalidRows: [{ key: null }, { key: '2' }],
    })
    const { exitCode: code, stdout } = await cli.sluice('preview', SYNC)
    expect(code).toBe(3)
    expect(stdout).toContain('✗ would be rejected  added · 1')
    expect(stdout).toContain('2: 2 rows have this primary key')
  })

  it('reads well, and says how to see more', async () => {
    const many = Array.from({ length: 120 }, (_, id) => `name ${id}`)
    await opened({}, many)
    const all = await cli.sluice('preview', SYNC)
    expect(all).toMatchObject({ exitCode: 0, stderr: '' })
    expect(all.stdout).toContain('people  the next run would send 120 rows\n')
    expect(all.stdout).toContain('120 added · 0 changed · 0 removed · 120 rows read')
    expect(all.stdout).toContain('… and more: 20 requests with 80 rows shown; `--rows N`')
    expect(all.stdout).not.toContain(KEY)
    const one = await cli.sluice('preview', SYNC, '--key', '7')
    expect(one.stdout).toContain(`POST ${api.url}/v1/people?tenant=e%20u&signed=***  added · 7\n`)
    expect(one.stdout).toContain('\n\n  [\n    {"id":7,"name":"name 7",')
    const none = await cli.sluice('preview', SYNC, '--key', 'x')
    expect(none).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('No such row with key `x`') })
    await project.run(SYNC)
    const nothing = await cli.sluice('preview', SYNC)
    expect(nothing.stdout).toBe('people  nothing would be sent\n  120 rows read\n')
    expect(nothing.exitCode).toBe(0)
  })

  it('takes the rows of a first run with skip-existing as delivered', async () => {
    await opened({
      'project.yaml': PROJECT.replace('model: people\n', 'model: people\nfirstRun: skip-existing\n'),
    })
    const { view } = await preview(cli)
    expect(view).toEqual({ sync: SYNC, counts: { added: 0, changed: 0, removed: 0 }, requests: [] })
    const { stdout } = await cli.sluice('preview', SYNC)
    expect(stdout).toContain('nothing would be sent')
    expect(stdout).toContain('firstRun is skip-existing: the first run takes the 9 rows as delivered')
  })

  it('needs no secrets, and says that a run does', async () => {
    project = await projectFolder({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES) },
      env: {},
    })
    cli = here(project, { API_URL: api.url })
    const { exitCode, view } = await preview(cli)
    expect(exitCode).toBe(0)
    expect(view.requests[0]?.headers['authorization']).toBe('***')
    const { stdout } = await cli.sluice('preview', SYNC)
    expect(stdout).toContain('note: a run would fail: The secret `api-key` is not set')
  })

  it('does not touch a run that was killed, and shows what follows it', async () => {
    await opened()
    api.on({}, { fault: 'hang' })
    const child = project.start('run', SYNC)
    await api.waitFor(1)
    child.kill('SIGKILL')
    await once(child, 'close')
    await project.write('people.csv', csv([...NAMES, 'J']))
    const before = await hashes(project.dir)
    const { view } = await preview(cli)
    expect(view.requests.map(({ keys }) => keys)).toEqual([['9']])
    const { stdout } = await cli.sluice('preview', SYNC)
    expect(stdout).toContain('note: an earlier run did not end')
    expect(await hashes(project.dir)).toEqual(before)
    api.reset()
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0 })
  })

  it('leaves no files behind, however it ends', async () => {
    await opened()
    await mkdir(join(project.dir, 'tmp'))
    const env = { API_URL: api.url, TMPDIR: join(project.dir, 'tmp') }
    await using other = await projectFolder({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES), 'none.yaml': '' },
      env,
    })
    await preview(other)
    await other.write('people.csv', 'id\n1\n')
    expect(await other.error('preview', SYNC)).toMatchObject({ exitCode: 2, code: 'query' })
    expect((await readdir(env.TMPDIR)).filter(name => name.startsWith('sluice'))).toEqual([])
    expect(await readdir(other.dir)).not.toContain('.sluice')
  })

  it('is refused while a run has the folder, and for names that do not exist', async () => {
    await opened()
    const { promise: gate, resolve: open } = Promise.withResolvers<object>()
    api.on({}, () => gate)
    const running = finished(project.start('run', SYNC))
    await api.waitFor(1)
    expect(await project.error('preview', SYNC)).toMatchObject({ exitCode: 1, code: 'conflict' })
    open({})
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(await project.error('preview', 'poeple')).toMatchObject({
      exitCode: 2,
      code: 'not-found',
      message: expect.stringContaining('did you mean `people`?'),
    })
    expect(await project.error('preview', SYNC, '--trigger', 'add')).toMatchObject({
      exitCode: 2,
      code: 'usage',
    })
    expect(await project.error('preview', SYNC, '--rows', '0')).toMatchObject({ exitCode: 2, code: 'usage' })
    const text = PROJECT.replace(/ {2}removed:.*\n/, '')
    await project.write('project.yaml', text)
    expect(await project.error('preview', SYNC, '--trigger', 'removed')).toMatchObject({
      code: 'usage',
      message: 'The sync `people` has no trigger `removed`; it has changed, added.',
    })
  })
})

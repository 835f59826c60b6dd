/** A preview beside the run that follows it, and all data that a preview might change. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PreviewView } from '@sluice/contracts/api'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Opened, Profile } from './profiles.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

export const SYNC = 'people'
export const KEY = 'a-secret-of-the-api'

export const PROJECT = String.raw`
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

export const NAMES = ['Ann', 'Böb "B"', 'C/C', '\u{feff}Dee', 'E', 'F', 'G', 'H', 'I']

export function csv(names: readonly (string | null)[]): string {
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

export async function preview(project: Pick<ProjectFolder, 'sluice'>, ...options: readonly string[]) {
  const { exitCode, stdout, stderr } = await project.sluice('preview', SYNC, ...options, '--json')
  expect(stderr).toBe('')
  const view: PreviewView = JSON.parse(stdout)
  return { exitCode, view, stdout }
}

/** Files that only say that a process had the log open, or that a killed process left. */
const OF_THE_LOCK = /-(shm|owner|lock-journal)$/

/** Every file below a folder with a hash of its bytes. */
export async function hashes(dir: string): Promise<{ readonly [file: string]: string }> {
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

/** A folder with the project and these rows, whose command runs in this process. */
export function previewFolder(
  api: ScriptedApi,
  files: { readonly [file: string]: string } = {},
  names = NAMES,
): Promise<ProjectFolder> {
  return projectFolder({
    files: { 'project.yaml': PROJECT, 'people.csv': csv(names), ...files },
    env: { API_URL: api.url, SLUICE_SECRET_API_KEY: KEY, SLUICE_SECRET_API_KEY_FOR: '127.0.0.1' },
    here: true,
  })
}

export function previewSuite(profile: Profile): void {
  describe(`sluice preview, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened
    let project: ProjectFolder

    beforeEach(async ({ onTestFailed }) => {
      api = await startScriptedApi()
      opened = await profile.open({
        files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES) },
        env: { API_URL: api.url, SLUICE_SECRET_API_KEY: KEY, SLUICE_SECRET_API_KEY_FOR: '127.0.0.1' },
        here: true,
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
      if (view.requests.length > 0) await opened.handedOver(SYNC)
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
        'user-agent': 'sluice/0.2.0',
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

    it('shows a trigger of which no row waits on a row of the model, and says so', async () => {
      const shown = async (...options: readonly string[]) => {
        const { view, stdout } = await preview(project, ...options)
        expect(stdout).not.toContain(KEY)
        return view
      }
      const before = await standing()
      const removed = await shown('--trigger', 'removed')
      expect(removed).toMatchObject({ counts: { added: 9, changed: 0, removed: 0 }, sample: true })
      const url = `${api.url}/v1/people/Ann?id=0&tenant=e%20u&signed=***`
      expect(removed.requests).toMatchObject([{ trigger: 'removed', method: 'DELETE', url, sample: true }])
      const changed = await shown('--trigger', 'changed', '--key', '1')
      const body = expect.stringContaining('{"was":"Böb \\"B\\"","is":"Böb \\"B\\""')
      expect(changed.requests).toMatchObject([{ keys: ['1'], body, sample: true }])
      expect((await shown('--trigger', 'changed', '--key', 'none')).requests).toEqual([])
      const added = await shown('--trigger', 'added', '--key', '8')
      expect([added.sample, added.requests[0]?.sample]).toEqual([undefined, undefined])
      expect(await standing()).toEqual(before)

      await project.run(SYNC)
      await opened.handedOver(SYNC)
      await project.write('people.csv', csv(['Ann!', ...NAMES.slice(1)]))
      api.reset()
      const real = await shown('--trigger', 'changed')
      expect([real.sample, real.requests.map(({ keys }) => keys)]).toEqual([undefined, [['0']]])
      const other = await shown('--trigger', 'changed', '--key', '2')
      expect(other.requests).toMatchObject([{ keys: ['2'], sample: true }])
      const again = await shown('--trigger', 'added', '--rows', '2')
      expect(again.requests).toMatchObject([{ keys: ['0', '1'], sample: true }])
      expect(api.requests).toEqual([])
      const { stdout } = await project.sluice('preview', SYNC, '--trigger', 'removed')
      expect(stdout).toContain('removed · 0 · sample')
      expect(stdout).toContain('a sample: no such row waits for the trigger `removed`')
    })
  })
}

/**
 * An installation of an earlier version goes on under this one: a project folder with its state, and the
 * topics of the distributed profile with their schemas. The judge is what the API receives.
 *
 * `test/fixtures/80de1afb` has both, as commit 80de1afb (2026-11-28) left them. Its command and its services
 * were started from a checkout of that commit, on the project files that stand in the fixture, against an API
 * at the same address, which refused some rows. They did this, in this order:
 *
 * - `secret set` for the four secrets;
 * - `run` of all syncs but `killed` and `halved`: `people` 3, `once` 2, `floats` 6 and `numbers` 4 got 422,
 *   `people` 4 and `once` 1 got 500, `tried` 2 got 503 until it was given up;
 * - `run people composed secured tried` with edited files, and `run guarded` with six rows less, which was
 *   held;
 * - a while of `up`, which fired the schedule of `planned` and told the alert, and was ended by SIGTERM;
 * - `up` again, with `resync again`, `run killed`, `run killed --wait` and `run halved`. The API stopped to
 *   answer in the midst of each, and then all processes ended by `kill -9`.
 *
 * On Kafka the four services did what `up` does in a folder. Each file of the fixture is packed with brotli:
 * a line of JSON that has the length of each file, and the files. `answered.json` has the requests of
 * `killed` and `again` that the API answered, and `topics.json` the records of all topics.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { at, sharedTopicSpecs, syncTopicSpecs } from '@sluice/topics/topics'
import { realServices, SERVICE_NAMES, startDistributed, type Distributed } from './distributed.ts'
import { finished, projectFolder, type ProjectFolder } from './project-folder.ts'

/** The definitions of open runs name it, so that it cannot be another one. */
const API_PORT = 18_041
const FIXTURE = join(import.meta.dirname, '../fixtures/80de1afb')
/** The fixture was made on the day before. */
const NEXT_MORNING = '2026-12-01T06:00:00Z'

/**
 * Processes with this in their environment believe that it is the next morning. So nothing of the fixture is
 * too old, in whatever year the test runs.
 */
function clockAt(time: string): string {
  const code = `
    const Real = Date, shift = ${Date.parse(time)} - Real.now()
    globalThis.Date = class extends Real {
      constructor(...parts) { parts.length === 0 ? super(Real.now() + shift) : super(...parts) }
      static now() { return Real.now() + shift }
    }`
  return `--import=data:text/javascript,${encodeURIComponent(code)}`
}

const ENV = {
  API_URL: `http://127.0.0.1:${API_PORT}`,
  SLUICE_ENCRYPTION_KEY: 'oEu55VC/52PwRXWrjoCNVrAGDNFONnwOn3YDGuu1rOU=',
}

/** Writes the files of the fixture into the folder. Returns the requests that the API had answered. */
async function unpack(dir: string, fixture: string): Promise<readonly string[]> {
  const packed = brotliDecompressSync(await readFile(join(FIXTURE, fixture)))
  const line = packed.indexOf('\n')
  const lengths: Record<string, number> = JSON.parse(packed.toString('utf8', 0, line))
  let at = line + 1
  for (const [file, length] of Object.entries(lengths)) {
    const path = join(dir, file)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(path, packed.subarray(at, (at += length)), { mode: 0o600 })
  }
  const answered: readonly string[] = JSON.parse(await readFile(join(dir, 'answered.json'), 'utf8'))
  return answered
}

/** An API that takes everything, and gives ids and tokens. Waits for the port if another test has it. */
async function startApi(): Promise<ScriptedApi> {
  const start = (): Promise<ScriptedApi | null> => startScriptedApi({ port: API_PORT }).catch(() => null)
  const api = await vi.waitUntil(start, { timeout: 300_000, interval: 1_000 })
  api.on({ method: 'POST', url: '/people' }, request => {
    const { id }: { id: number } = JSON.parse(request.body)
    return { body: JSON.stringify({ id: `remote-${id}` }) }
  })
  const token = { access_token: 'new', token_type: 'Bearer', expires_in: 3600, refresh_token: 'newer' }
  api.on({ url: '/token' }, { body: JSON.stringify(token) })
  return api
}

const numbered = (what: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${what}${index + 1}`)
const csv = (...rows: readonly string[]): string => ['id,name', ...rows, ''].join('\n')

/** Plays a morning after the upgrade. */
class Morning {
  readonly project: ProjectFolder
  readonly api: ScriptedApi
  #seen = 0

  constructor(project: ProjectFolder, api: ScriptedApi) {
    this.project = project
    this.api = api
  }

  /** Runs a command that has to succeed. */
  async ask(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.project.sluice(...args)
    expect(exitCode, `sluice ${args.join(' ')}: ${stdout}${stderr}`).toBe(0)
    return stdout
  }

  /** What the API received of syncs since the last call, in order of text. */
  sent(): readonly string[] {
    const requests = this.api.requests.slice(this.#seen)
    this.#seen = this.api.requests.length
    return requests
      .filter(({ url }) => url !== '/hook')
      .map(({ method, url, body }) =>
        method === 'PUT' && url !== '/halved' ? `PUT ${url}` : `${method} ${url} ${body}`.trim(),
      )
      .toSorted()
  }

  async failed(sync: string): Promise<readonly string[]> {
    const rows = await this.project.failed(sync)
    return rows.map(({ key, op, outcome }) => `${op} ${key} ${outcome}`).toSorted()
  }

  async heldRun(): Promise<string> {
    const { runs }: { runs: readonly { id: string; status: string }[] } = JSON.parse(
      await this.ask('runs', 'guarded', '--json'),
    )
    const held = runs.find(({ status }) => status === 'held')
    expect(runs[0], 'the held run is the last one').toBe(held)
    return held?.id ?? ''
  }
}

/** What was known is shown, and nothing is sent for that. */
async function isShown(morning: Morning): Promise<void> {
  await morning.ask('doctor')
  expect(await morning.failed('people')).toEqual(['added 3 rejected', 'added 4 unknown'])
  expect(await morning.failed('once')).toEqual(['added 1 unknown', 'added 2 rejected'])
  expect(await morning.failed('tried')).toEqual([])
  expect(await morning.ask('history', 'sync/people')).toContain('created')
  expect(await morning.ask('alerts')).toContain('guarded: held')
  expect(await morning.ask('secret', 'list')).toMatch(/tokens +login/)
  expect(await morning.ask('syncs')).toContain('6 of 8 rows')
}

/** What had not arrived is sent, once, and nothing else. */
async function isDelivered(morning: Morning, answered: readonly string[]): Promise<void> {
  const syncs = ['people', 'types', 'numbers', 'documents', 'floats', 'once', 'twins', 'planned', 'secured']
  await morning.ask('run', 'killed', 'halved', 'again', ...syncs, 'composed', 'tried')
  const done = new Set(answered)
  const left = numbered('PUT /killed/', 300).filter(request => !done.has(request))
  expect(left).toHaveLength(180)
  // Each of the 40 rows went out once before the resync, which had come to ten of them.
  const again = numbered('PUT /again/', 40)
  const anew = again.filter(request => answered.filter(one => one === request).length === 1)
  expect(anew).toHaveLength(30)
  expect(morning.sent()).toEqual(
    [
      ...left,
      ...anew,
      'POST /people {"id":3,"name":"name 3"}',
      'POST /people {"id":4,"name":"name 4"}',
      'PUT /numbers/4',
      'PUT /floats/6',
      'PUT /once/2',
      'PUT /halved [5,6,7,8]',
      // Its time has an offset, and is read as a time since.
      'PUT /documents/2',
    ].toSorted(),
  )
  expect(await morning.failed('once')).toEqual(['added 1 unknown'])
  for (const sync of ['people', 'killed', 'halved', 'again']) expect(await morning.failed(sync)).toEqual([])
}

/** People decide on what waits for them. */
async function isDecided(morning: Morning): Promise<void> {
  await morning.ask('approve', await morning.heldRun())
  expect(morning.sent()).toEqual(numbered('DELETE /guarded/', 8).slice(2))
  await morning.ask('retry', 'once')
  expect(morning.sent()).toEqual(['PUT /once/1'])
}

/** What changes from now on is sent once, with the values and the token of before. */
async function isChanged(morning: Morning): Promise<void> {
  const { project } = morning
  const rows = ['1,name 1', '2,third', '3,name 3', '4,name 4', '7,name 7', '8,name 8', '9,name 9']
  await project.write('data/people.csv', csv(...rows))
  await project.write('data/twins.csv', csv('ANN,1', 'bob,2', 'Émile,3', 'zoe,4'))
  await project.write('data/composed.csv', ['a,b,name', 'x,1,one', 'x y,2,zwei', 'é,3,three', ''].join('\n'))
  await project.write('data/secured.csv', csv('1,name 1', '2,name 2', '3,name 3', '4,four'))
  const syncs = ['people', 'twins', 'composed', 'secured', 'killed', 'types', 'floats']
  await morning.ask('run', ...syncs)
  const sent = morning.sent()
  expect(sent.filter(request => !request.startsWith('POST /token'))).toEqual(
    [
      'PATCH /people/remote-2 {"name":"third"}',
      'DELETE /people/remote-6',
      'DELETE /twins/Ann',
      'PUT /twins/ANN',
      'PUT /composed/x%20y/2',
      'PUT /secured/4',
    ].toSorted(),
  )
  await morning.ask('run', ...syncs)
  expect(morning.sent()).toEqual([])
}

/** The schedule goes on. */
async function isPlanned(morning: Morning): Promise<void> {
  const rows = numbered('', 5).map(id => `${id},name ${id}`)
  await morning.project.write('data/planned.csv', csv(...rows))
  await morning.api.waitFor(requests => requests.some(({ url }) => url === '/planned/5'))
  expect(morning.sent()).toEqual(['PUT /planned/5'])
}

interface StoredTopics {
  /** It is as long as that of a test. */
  readonly prefix: string
  readonly schemas: readonly { readonly subject: string; readonly id: number; readonly schema: string }[]
  /** Key and value of each record, in base64, by topic and partition, from the first offset on. */
  readonly topics: Readonly<Record<string, readonly (readonly (readonly [string, string | null])[])[]>>
}

/** Puts the schemas and the records of the fixture under the prefix of the test. */
async function fillTopics(dir: string, { prefix, env }: Distributed): Promise<void> {
  const { signal } = new AbortController()
  const stored: StoredTopics = JSON.parse(await readFile(join(dir, 'topics.json'), 'utf8'))
  const renamed = (text: string): string => text.replaceAll(stored.prefix, prefix)
  expect(prefix).toHaveLength(stored.prefix.length)

  const registry = env['SLUICE_SCHEMA_REGISTRY_URL'] ?? ''
  const ids = new Map<number, number>()
  for (const { subject, id, schema } of stored.schemas) {
    const answer = await fetch(`${registry}/subjects/${encodeURIComponent(renamed(subject))}/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema }),
    })
    const registered: { id: number } = JSON.parse(await answer.text())
    ids.set(id, registered.id)
  }
  const bytesOf = (base64: string): Buffer =>
    Buffer.from(renamed(Buffer.from(base64, 'base64').toString('latin1')), 'latin1')
  /** A value begins with a zero byte and the id of its schema. */
  const valueOf = (base64: string): Buffer => {
    const value = bytesOf(base64)
    value.writeUInt32BE(ids.get(value.readUInt32BE(1)) ?? 0, 1)
    return value
  }

  await using log = createKafkaLog({
    brokers: (env['SLUICE_KAFKA_BROKERS'] ?? '').split(','),
    clientId: 'test',
  })
  const syncs = Object.keys(stored.topics).flatMap(topic => /\.([^.]+)\.changes$/.exec(topic)?.[1] ?? [])
  const partitions = (sync: string): number => stored.topics[`${stored.prefix}.${sync}.changes`]?.length ?? 0
  const specs = syncs.flatMap(sync => syncTopicSpecs(prefix, sync, partitions(sync)))
  await log.ensureTopics([...sharedTopicSpecs(prefix), ...specs], { signal })
  for (const [topic, parts] of Object.entries(stored.topics))
    for (const [partition, records] of parts.entries()) {
      if (records.length === 0) continue
      const filled = records.map(([key, value]) => ({
        key: bytesOf(key),
        value: value === null ? null : valueOf(value),
      }))
      await log.append(at(renamed(topic), partition), filled, { signal })
    }
}

describe('an installation of an earlier version', () => {
  it('goes on in its folder', async () => {
    await using api = await startApi()
    await using project = await projectFolder({ env: { ...ENV, NODE_OPTIONS: clockAt(NEXT_MORNING) } })
    const answered = await unpack(project.dir, 'folder.br')
    const morning = new Morning(project, api)
    await isShown(morning)
    expect(await project.attempts('--sync', 'people')).toHaveLength(13)
    expect(morning.sent()).toEqual([])
    await isDelivered(morning, answered)
    await isDecided(morning)
    await isChanged(morning)
    // The refresh token is the one that the earlier version had got last.
    expect(api.requests.find(({ url }) => url === '/token')?.body).toContain('refresh_token=refresh-2')

    const server = project.start('up')
    await isPlanned(morning)
    server.kill('SIGTERM')
    expect((await finished(server)).exitCode).toBe(0)
  }, 600_000)

  it.skipIf(realServices() === null)(
    'goes on with its topics',
    async ({ onTestFailed }) => {
      await using api = await startApi()
      const none = Object.fromEntries(SERVICE_NAMES.map(name => [name, 0]))
      await using services = await startDistributed({ counts: none, env: ENV })
      onTestFailed(() => void process.stderr.write(services.logs()))
      await using project = await projectFolder({ env: { ...ENV, ...services.env }, here: true })
      const answered = await unpack(project.dir, 'topics.br')
      await fillTopics(project.dir, services)
      const morning = new Morning(project, api)
      await morning.ask('apply')
      await isShown(morning)
      expect(morning.sent()).toEqual([])
      await Promise.all(SERVICE_NAMES.map(name => services.add(name)))
      await isDelivered(morning, answered)
      await isDecided(morning)
      await isChanged(morning)
      await isPlanned(morning)
    },
    600_000,
  )
})

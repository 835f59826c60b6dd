import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type SluiceError, isSluiceError } from '@sluice/contracts/errors'
import { afterEach, describe, expect, it } from 'vitest'
import { loadProject } from './load-project.ts'
import { resolveDefinition } from './project.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function folderWith(files: { readonly [path: string]: string | Uint8Array }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-project-'))
  folders.push(dir)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), content)
  }
  return dir
}

async function load(
  files: { readonly [path: string]: string | Uint8Array },
  env: Record<string, string> = {},
) {
  return await loadProject(await folderWith(files), { env, signal: new AbortController().signal })
}

async function errorOf(loading: Promise<unknown>): Promise<SluiceError> {
  const error: unknown = await loading.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  )
  if (isSluiceError(error)) return error
  throw error
}

/** The details as `file:line:column field: message`. */
async function problemsOf(files: { readonly [path: string]: string | Uint8Array }): Promise<string[]> {
  const error = await errorOf(load(files))
  expect(error.code).toBe('config')
  return error.details.map(d => `${[d.file, d.line, d.column].join(':')} ${d.field ?? ''}: ${d.message}`)
}

const SOURCE = 'kind: source\nname: shop\ntype: duckdb\npath: ./data\n'
const MODEL = "kind: model\nname: synonyms\nsource: shop\nsql: select * from 'a.csv'\nprimaryKey: id\n"
const DESTINATION = 'kind: destination\nname: algolia\nbaseUrl: https://x.test\n'
const SYNC = `kind: sync
name: algolia-synonyms
model: synonyms
destination: algolia
triggers:
  added:
    method: POST
    path: /batch
    body:
      json: '{"id": {{ row.id }}}'
`
const ALL = { 'a.yaml': `${SOURCE}---\n${MODEL}`, 'b/c.yml': `${DESTINATION}---\n${SYNC}` }

describe('loading a project folder', () => {
  it('reads all YAML files below it, whatever their order', async () => {
    const project = await load(ALL)
    expect([...project.resources.keys()]).toEqual([
      'source/shop',
      'model/synonyms',
      'destination/algolia',
      'sync/algolia-synonyms',
    ])
    expect(project.skipped).toEqual([])
    expect(project.origins.get('sync/algolia-synonyms')?.get('triggers.added.path')?.place).toEqual({
      file: 'b/c.yml',
      line: 12,
      column: 11,
    })
  })

  it('passes over hidden folders, node_modules and what other tools wrote', async () => {
    const project = await load({
      ...ALL,
      '.github/workflow.yaml': 'kind: nonsense',
      'node_modules/x/a.yaml': 'kind: nonsense',
      '.sluice/state.yaml': 'kind: nonsense',
      'k8s/pod.yaml': 'apiVersion: v1\nkind: Pod',
      'docker-compose.yml': 'services: {}',
      'notes.txt': 'kind: nonsense',
    })
    expect(project.resources.size).toBe(4)
    expect(project.skipped.map(({ file }) => file)).toEqual(['docker-compose.yml', 'k8s/pod.yaml'])
  })

  it('does not follow a circle of links', async () => {
    const dir = await folderWith(ALL)
    await symlink(dir, join(dir, 'self'))
    await symlink(join(dir, 'gone'), join(dir, 'broken'))
    const project = await loadProject(dir, { env: {}, signal: new AbortController().signal })
    expect(project.resources.size).toBe(4)
  })

  it('makes the paths of sources absolute from the project folder', async () => {
    const dir = await folderWith({ 'deep/er/a.yaml': SOURCE })
    const project = await loadProject(dir, { env: {}, signal: new AbortController().signal })
    expect(project.resources.get('source/shop')).toMatchObject({ path: join(dir, 'data') })
  })

  it('reads files named by references from the folder of the YAML file', async () => {
    const project = await load({
      ...ALL,
      'd/e.yaml': 'kind: source\nname: other\ntype: duckdb\npath: x\ntitle: ${file:t.txt}\n',
      'd/t.txt': 'hello',
    })
    expect(project.resources.get('source/other')).toMatchObject({ title: 'hello' })
  })

  it('takes an empty folder for a project without resources', async () => {
    const project = await load({ 'a.yaml': '# nothing\n' })
    expect(project.resources.size).toBe(0)
  })

  it('refuses a folder that does not exist, and a file', async () => {
    const dir = await folderWith({ 'a.yaml': '' })
    const { signal } = new AbortController()
    for (const path of ['gone', 'a.yaml']) {
      const error = await errorOf(loadProject(join(dir, path), { env: {}, signal }))
      expect(error.code).toBe('missing-file')
      expect(error.message).toContain(join(dir, path))
    }
  })

  it('stops when it is aborted', async () => {
    const dir = await folderWith(ALL)
    const reason = new Error('stop')
    await expect(loadProject(dir, { env: {}, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('the errors of a folder', () => {
  it('come all at once, sorted by file and line', async () => {
    const problems = await problemsOf({
      'z.yaml': 'kind: sorce\nname: a\n',
      'a.yaml': `${SYNC.replace('method', 'methd')}---\n${SOURCE}foo: 1\n`,
      'b.yaml': 'a: [\nkind: model\n',
    })
    expect(problems.map(problem => problem.split(' ')[0])).toEqual([
      'a.yaml:3:8',
      'a.yaml:4:14',
      'a.yaml:7:5',
      'a.yaml:16:1',
      'b.yaml:2:1',
      'z.yaml:1:7',
    ])
  })

  it('name the resource that a reference does not find, and the nearest name that exists', async () => {
    const problems = await problemsOf({
      'a.yaml': SOURCE,
      'b.yaml': MODEL.replace('source: shop', 'source: shpo'),
      'c.yaml': SYNC.replace('model: synonyms', 'model: synonym').replace(
        'destination: algolia',
        'destination: crm',
      ),
      'd.yaml': DESTINATION,
    })
    expect(problems).toEqual([
      'b.yaml:3:9 source: model `synonyms`: there is no source `shpo`; did you mean `shop`?',
      'c.yaml:3:8 model: sync `algolia-synonyms`: there is no model `synonym`; did you mean `synonyms`?',
      'c.yaml:4:14 destination: sync `algolia-synonyms`: there is no destination `crm`; the destinations here are `algolia`',
    ])
  })

  it('name a topic of a source that has none, and a query of a source of topics', async () => {
    const cdc = 'kind: source\nname: cdc\ntype: kafka\nbrokers: [kafka:9092]\n'
    const topic = 'kind: model\nname: a\nsource: shop\ntopic: t\nformat: rows\n'
    const query = 'kind: model\nname: b\nsource: cdc\nsql: select 1 as id\nprimaryKey: id\n'
    expect(await problemsOf({ 'a.yaml': [SOURCE, cdc, topic, query].join('---\n') })).toEqual([
      expect.stringMatching(
        / topic: model `a`: wanted `sql` or `table`, since source `shop` is of type duckdb/,
      ),
      expect.stringMatching(/ sql: model `b`: wanted `topic`, since source `cdc` is of type kafka/),
    ])
  })

  it('name dangling references of a resource that is wrong elsewhere too', async () => {
    const broken = SYNC.replace('method: POST', 'method: PSOT').replace('model: synonyms', 'model: gone')
    const problems = await problemsOf({ ...ALL, 'b/c.yml': `${DESTINATION}---\n${broken}` })
    expect(problems.map(problem => problem.split(':').slice(0, 2).join(':'))).toEqual([
      'b/c.yml:7',
      'b/c.yml:11',
    ])
  })

  it('do not repeat one mistake as a dangling reference', async () => {
    const problems = await problemsOf({ ...ALL, 'a.yaml': `${SOURCE}foo: 1\n---\n${MODEL}` })
    expect(problems).toHaveLength(1)
  })

  it('do not say that there is no resource which may stand where nothing could be read', async () => {
    const withoutDestination = { 'a.yaml': ALL['a.yaml'] ?? '', 'c.yml': SYNC }
    const broken = DESTINATION.replace('baseUrl:', 'baseUrl: [')
    const misspelt = DESTINATION.replace('kind: destination', 'kind: destinaton')
    for (const text of [broken, misspelt, DESTINATION.replace('name:', 'nmae:')]) {
      const problems = await problemsOf({ ...withoutDestination, 'b.yaml': text })
      expect(problems.filter(problem => !problem.startsWith('b.yaml'))).toEqual([])
      expect(problems).not.toEqual([])
    }
    const cannotBeRead = { ...withoutDestination, 'b.yaml': '\0'.repeat(1_000_001) }
    expect(await problemsOf(cannotBeRead)).toEqual([expect.stringMatching(/^b.yaml/)])
  })

  it('do say that there is no resource of a name that no unreadable text has', async () => {
    const broken = DESTINATION.replace('name: algolia', 'name: crm').replace('baseUrl:', 'baseUrl: [')
    const problems = await problemsOf({ 'a.yaml': ALL['a.yaml'] ?? '', 'b.yaml': broken, 'c.yml': SYNC })
    expect(problems.filter(problem => problem.startsWith('c.yml'))).toEqual([
      'c.yml:4:14 destination: sync `algolia-synonyms`: there is no destination `algolia`; no destination is defined in this folder',
    ])
  })

  it('say where else a name is used', async () => {
    expect(await problemsOf({ ...ALL, 'x.yaml': SOURCE })).toEqual([
      'x.yaml:2:7 name: another source is already called `shop`, in a.yaml line 2; names are unique per kind',
    ])
  })

  it('report a trigger that names a missing one, or itself in a circle', async () => {
    const withTriggers = (triggers: string) => ({
      ...ALL,
      'b/c.yml': `${DESTINATION}---\n${SYNC}${triggers}`,
    })
    expect(await problemsOf(withTriggers('  changed: removed\n'))).toEqual([
      'b/c.yml:15:12 triggers.changed: sync `algolia-synonyms`: `changed: removed` names a trigger that this sync does not have; ' +
        'the triggers that are written out: `added`',
    ])
    const circle = await problemsOf(withTriggers('  changed: removed\n  removed: changed\n'))
    expect(circle).toHaveLength(2)
    expect(circle[0]).toMatch(/leads back to itself/)
    await expect(load(withTriggers('  changed: removed\n  removed: added\n'))).resolves.toBeDefined()
  })

  it('name the place in the file of a mistake in a template', async () => {
    const block = SYNC.replace(
      `'{"id": {{ row.id }}}'`,
      `|\n\n        {"id": 1,\n          "x": {{ row.id | nofilter }}}`,
    )
    const problems = await problemsOf({ ...ALL, 'b/c.yml': `${DESTINATION}---\n${block}` })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(
      /^b\/c.yml:17:\d+ triggers.added.body.json: sync `algolia-synonyms`: .*nofilter/,
    )
    expect(Number(/^b\/c.yml:17:(\d+)/.exec(problems[0] ?? '')?.[1])).toBeGreaterThanOrEqual(16)
    const quoted = await problemsOf({
      ...ALL,
      'b/c.yml': `${DESTINATION}---\n${SYNC.replace('row.id', 'row.id | nofilter')}`,
    })
    expect(quoted[0]).toMatch(/^b\/c.yml:14:(2\d|3\d) triggers.added.body.json/)
    const folded = SYNC.replace(
      `'{"id": {{ row.id }}}'`,
      `>\n        {"id":\n        {{ row.id | nofilter }}}`,
    )
    expect((await problemsOf({ ...ALL, 'b/c.yml': `${DESTINATION}---\n${folded}` }))[0]).toMatch(
      /^b\/c.yml:14:13 .*\(line 1, column \d+ of the template\)$/,
    )
  })

  it('report files that are not text, too large or not readable', async () => {
    expect(await problemsOf({ 'a.yaml': new Uint8Array([0x6b, 0xff, 0xfe]) })).toEqual([
      'a.yaml:1:1 : the file is not UTF-8 text; save it as UTF-8',
    ])
    expect(await problemsOf({ 'a.yaml': '#'.repeat(10_000_001) })).toEqual([
      'a.yaml:1:1 : wanted a file of at most 1000000 bytes, found 10000001',
    ])
    const dir = await folderWith({})
    await symlink(join(dir, 'gone'), join(dir, 'a.yaml'))
    const error = await errorOf(loadProject(dir, { env: {}, signal: new AbortController().signal }))
    expect(error.details[0]?.message).toBe('the file cannot be read (it does not exist)')
    await chmod(dir, 0o755)
  })

  it('report what a resource has too much of, with the files that it names', async () => {
    const api = 'kind: destination\nname: api\nbaseUrl: http://h\ntls:\n'
    const tooLarge = { 'a.yaml': `${api}  ca: \${file:ca.pem}\n`, 'ca.pem': 'x'.repeat(10_000_001) }
    expect(await problemsOf(tooLarge)).toEqual([
      'a.yaml:5:7 tls.ca: destination `api`: `${file:ca.pem}`: wanted a file of at most 10000000 bytes, found 10000001',
    ])
    const several = {
      'a.yaml': `${api}  ca: \${file:ca.pem}\n  cert: \${file:cert.pem}\n  key: k\n`,
      'ca.pem': 'x'.repeat(5_000_000),
      'cert.pem': 'x'.repeat(6_000_001),
    }
    expect(await problemsOf(several)).toEqual([
      expect.stringMatching(
        /^a.yaml:6:9 tls.cert: destination `api`: wanted at most 11000000 bytes with all files that it names, found 110\d{5}; its longest text is here$/,
      ),
    ])
    const dir = await folderWith({ ...several, 'ca.pem': 'x'.repeat(4_900_000) })
    expect((await loadProject(dir, { env: {}, signal: new AbortController().signal })).resources.size).toBe(1)
  })

  it('name other encodings, with the line', async () => {
    const utf16 = (text: string) => new Uint8Array(Buffer.from(text, 'utf16le'))
    const latin1 = new Uint8Array(Buffer.from(`${SOURCE}title: Grüße\n`, 'latin1'))
    expect(await problemsOf({ 'a.yaml': utf16(`\ufeff${SOURCE}`) })).toEqual([
      'a.yaml:1:1 : the file is UTF-16; save it as UTF-8',
    ])
    expect(await problemsOf({ 'a.yaml': utf16(SOURCE) })).toEqual([
      'a.yaml:1:1 : the file has a NUL byte, so it is not UTF-8 text (UTF-16, perhaps); save it as UTF-8',
    ])
    expect(await problemsOf({ 'a.yaml': latin1 })).toEqual([
      'a.yaml:5:1 : the file is not UTF-8 text; save it as UTF-8',
    ])
    expect(await problemsOf({ 'a.yaml': `${SOURCE}title: \${file:t.txt}\n`, 't.txt': latin1 })).toEqual([
      'a.yaml:5:8 title: source `shop`: `${file:t.txt}`: the file is not UTF-8 text; save it as UTF-8 (line 5)',
    ])
  })

  it('report a pipe, a device and a folder under the name of a file, without waiting for them', async () => {
    const dir = await folderWith({ 'folder/x.txt': '' })
    execFileSync('mkfifo', [join(dir, 'pipe')])
    for (const [name, target] of Object.entries({
      a: join(dir, 'pipe'),
      b: '/dev/zero',
      c: join(dir, 'folder'),
    }))
      await symlink(target, join(dir, `${name}.yaml`))
    const texts = ['pipe', '/dev/zero', 'folder'].map(
      (path, index) => `kind: source\nname: s${index}\ntype: duckdb\npath: x\ntitle: \${file:${path}}\n`,
    )
    await writeFile(join(dir, 'd.yaml'), texts.join('---\n'))
    const error = await errorOf(loadProject(dir, { env: {}, signal: new AbortController().signal }))
    expect(error.details.map(({ file, message }) => `${file ?? ''} ${message}`)).toEqual([
      'a.yaml wanted a file, found a pipe, socket or device',
      'b.yaml wanted a file, found a pipe, socket or device',
      'c.yaml the file cannot be read (it is a folder)',
      'd.yaml source `s0`: `${file:pipe}`: wanted a file, found a pipe, socket or device',
      'd.yaml source `s1`: `${file:/dev/zero}`: wanted a file inside of the project folder, found one outside',
      'd.yaml source `s2`: `${file:folder}`: the file cannot be read (it is a folder)',
    ])
  })

  it('name files as they are written, with endings such as .yml and .YAML and with unusual names', async () => {
    const project = await load({
      'a b\n.yml': SOURCE,
      'B.YAML': MODEL,
      'ü/#1 "x".yaml': DESTINATION,
      '-.yaml': SYNC,
      'c.yaml.bak': 'kind: nonsense',
      'd.yaml~': 'kind: nonsense',
    })
    expect(project.resources.size).toBe(4)
    expect(await problemsOf({ 'a\n\u001b[31m.yaml': 'kind: x\n' })).toEqual([
      expect.stringMatching(/^a\n\u001b\[31m.yaml:1:7 kind: unknown kind/),
    ])
  })

  it('report a missing referenced file with the path that was looked for', async () => {
    const problems = await problemsOf({ 'sub/a.yaml': `${SOURCE}title: \${file:../t.txt}\n` })
    expect(problems[0]).toMatch(
      /^sub\/a.yaml:5:8 title: source `shop`: `\$\{file:..\/t.txt\}`: \/.*t.txt cannot be read \(it does not exist\)$/,
    )
  })
})

describe('the definition of a sync', () => {
  it('has all that it refers to, with triggers and key written out', async () => {
    const project = await load({
      'a.yaml': `${SOURCE}---\n${MODEL.replace(/sql: .*/, 'table: main.my table')}`,
      'b.yaml': `${DESTINATION}---\n${SYNC}  changed: added\n  removed: changed\n`,
    })
    const definition = resolveDefinition(project, 'algolia-synonyms')
    expect(definition.source.name).toBe('shop')
    expect(definition.destination.name).toBe('algolia')
    expect(definition.model).toEqual({
      kind: 'model',
      name: 'synonyms',
      source: 'shop',
      table: 'main.my table',
      primaryKey: ['id'],
    })
    expect(definition.sync.triggers.changed).toEqual(definition.sync.triggers.added)
    expect(definition.sync.triggers.removed).toMatchObject({ method: 'POST' })
  })

  it('is not found for a sync that does not exist, and the message has the nearest name', async () => {
    const project = await load(ALL)
    expect(() => resolveDefinition(project, 'algolia-synonym')).toThrow(
      'There is no sync `algolia-synonym`: did you mean `algolia-synonyms`?',
    )
    expect(() => resolveDefinition(project, 'crm')).toThrow(
      'There is no sync `crm`: the syncs here are `algolia-synonyms`',
    )
    const empty = await load({})
    expect(() => resolveDefinition(empty, 'crm')).toThrow(/no sync is defined in .*sluice init/)
  })
})

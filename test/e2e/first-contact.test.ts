/** Mistakes that newcomers make, and what the command says of them before they cost anything. */
import { execFileSync } from 'node:child_process'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { servedFolder } from './one-folder.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const ALERT = (when: string): string =>
  `kind: alert\nname: team\nsyncs: all\nwhen: [${when}]\nto: { slack: { url: '\${API_URL}/alerts' } }\n`

let api: ScriptedApi
let project: ProjectFolder
beforeAll(async () => {
  api = await startScriptedApi()
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
})
beforeEach(async () => {
  api.reset()
  project = await projectFolder({
    files: { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') },
    env: { API_URL: api.url },
    here: true,
  })
})
afterEach(async () => {
  await project[Symbol.asyncDispose]()
})

const told = (): string[] => api.requests.filter(({ url }) => url === '/alerts').map(({ body }) => body)

describe('an alert with a mistake', () => {
  it.each([
    ['in a field', ALERT('run-failed, rows-failed: { shar: 0 }'), 'alerts.yaml:4'],
    ['in its kind', ALERT('run-failed').replace('kind: alert', 'kind: alrt'), 'alerts.yaml:1'],
    ['in the YAML', ALERT('run-failed').replace('syncs: all', 'syncs: [all'), 'alerts.yaml:'],
  ])('%s is told of by `run` and `alerts`', async (_, yaml, place) => {
    await project.write('alerts.yaml', yaml)
    const run = await project.sluice('run', SYNC)
    expect(run).toMatchObject({ exitCode: 0, stderr: expect.stringContaining(place) as string })
    // As often as there are mistakes, though the command opens the project twice.
    expect(run.stderr.split('Until you fix it')).toHaveLength(2)
    const alerts = await project.sluice('alerts')
    expect(alerts).toMatchObject({ stderr: expect.stringContaining(place) as string })
    expect(alerts.stdout).not.toContain('no alert')
  })

  it('goes on as it was before the mistake', async () => {
    await project.write('alerts.yaml', ALERT('rows-failed: { share: 0 }'))
    await project.run(SYNC)
    await project.write('alerts.yaml', ALERT('rows-failed: { shar: 0 }'))
    await project.write('people.csv', peopleCsv('1,Ann', '2,Bob', '3,Cyd'))
    api.on({ url: '/people/3' }, { status: 422 })
    await project.run(SYNC)
    expect(told()).toEqual([expect.stringContaining('rows did not arrive')])
  })
})

describe('with at-most-once', () => {
  it('no command says that a row which may have arrived is tried again', async () => {
    await project.write('project.yaml', peopleYaml({ sync: 'delivery: at-most-once' }))
    api.on({ url: '/people/1' }, { status: 500 })
    api.on({ url: '/people/2' }, { status: 422 })
    const run = await project.sluice('run', SYNC)
    expect(run.stdout).toMatch(/1 row may have arrived\. Nothing sends it again by itself/)
    expect(run.stdout).toMatch(/sluice .*retry people .*\n.*sluice .*discard people /)
    expect(run.stdout).toContain('The other row is tried again on the next run.')
    const failed = await project.sluice('failed', SYNC)
    expect(failed.stdout).toMatch(/1 row may have arrived\. Nothing sends it again by itself/)
    expect(failed.stdout).not.toContain('tries them again')
  })
})

describe('`validate --connect`', () => {
  it('names the secrets that are not set though a destination does not answer', async () => {
    const yaml = peopleYaml({ destination: "headers: { X-Key: '${secret:nowhere}' }" })
    await project.write('project.yaml', yaml.replace('${API_URL}', 'http://127.0.0.1:1'))
    const { exitCode, stderr } = await project.sluice('validate', '--connect')
    expect(exitCode).toBe(5)
    expect(stderr).toMatch(/does not answer/)
    expect(stderr).toMatch(/the secret `nowhere` is set neither here nor in the vault/)
  })
})

describe('a schedule', () => {
  it('is not said to run where nothing runs it, and `doctor` says so', async () => {
    await project.write('project.yaml', peopleYaml({ sync: 'schedule: { every: 10s }' }))
    for (const before of ['before', 'after'] as const) {
      if (before === 'after') await project.run(SYNC)
      const { stdout } = await project.sluice('syncs')
      expect(stdout).not.toMatch(/ in \d+ s/)
      expect(stdout).toMatch(/No process runs these schedules now: `sluice .*up` does/)
      const doctor = await project.sluice('doctor')
      expect(doctor.exitCode, 'a warning').toBe(0)
      expect(doctor.stdout).toMatch(/schedules +1 sync has a schedule, and no process runs it/)
    }
  })
})

describe('the folder of runs', () => {
  it('is hidden from git by itself', async () => {
    execFileSync('git', ['init', '-q', project.dir])
    await project.run(SYNC)
    const shown = execFileSync('git', ['-C', project.dir, 'status', '--porcelain'], { encoding: 'utf8' })
    expect(shown.trim().split('\n')).toEqual(['?? people.csv', '?? project.yaml'])
  })
})

describe('a document whose `kind` is misspelt', () => {
  it.each([
    ['kind sync', 'wanted `kind: sync`, found `kind sync`'],
    ['kind:sync', 'this is not YAML'],
    ['knd: sync', '`knd` is not a field; write `kind`'],
    ['# nothing', 'the document has no `kind`; it looks like a sync: write `kind: sync`'],
  ])('as `%s` is an error, not a document of another tool', async (line, message) => {
    await project.write('project.yaml', peopleYaml().replace('kind: sync', line))
    const { exitCode, stderr } = await project.sluice('validate')
    expect({ exitCode, says: stderr.includes(message) }, stderr).toEqual({ exitCode: 2, says: true })
  })
})

describe('a credential', () => {
  it.each([
    ["headers: { X-Key: '$MY_KEY' }", 'headers.X-Key', 'is sent as it stands'],
    ["headers: { Authorization: 'Bearer sk_live_1234567890' }", 'headers.Authorization', '${secret:'],
    ['query: { api_key: abcdef123456 }', 'query.api_key', '${secret:'],
    ['auth: { bearer: abcdef123456 }', 'auth.bearer', '${secret:'],
  ])('in %s is warned of by `validate`', async (destination, field, says) => {
    await project.write('project.yaml', peopleYaml({ destination }))
    const { exitCode, stdout } = await project.sluice('validate')
    expect({ exitCode, named: stdout.includes(field), says: stdout.includes(says) }, stdout).toEqual({
      ...{ exitCode: 0, named: true, says: true },
    })
    const json = await project.sluice('validate', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, warnings: [expect.stringContaining(field)] })
  })

  it.each([
    ["headers: { X-Key: '${secret:key}', X-Request-Key-Version: '2', X-Price: '5 $USD' }"],
    ["auth: { bearer: '${secret:key}' }"],
  ])('in %s is not', async destination => {
    await project.write('project.yaml', peopleYaml({ destination }))
    expect(JSON.parse((await project.sluice('validate', '--json')).stdout)).not.toHaveProperty('warnings')
  })
})

describe('a variable written as in a shell', () => {
  it('is told of by `preview`, which masks it', async () => {
    await project.write('project.yaml', peopleYaml({ destination: "headers: { X-Key: '$MY_KEY' }" }))
    const { stdout, stderr } = await project.sluice('preview', SYNC)
    expect(stdout).toContain('x-key: ***')
    expect(stderr).toContain('is sent as it stands, $MY_KEY: write ${secret:my-key}')
  })
})

describe('a second `sluice up`', () => {
  it('names the address of the first one', async () => {
    await using served = await servedFolder(api, {})
    const second = await served.project.error('up')
    expect(second).toMatchObject({ exitCode: 1, code: 'conflict' })
    expect(second.message).toBe(
      `\`sluice up\` serves this folder already, at ${served.url} (process ${served.server.pid ?? ''}): use that one, or stop it first.`,
    )
  })
})

describe('a folder in the place of a CSV file', () => {
  it('is called a folder, and not a file that does not exist', async () => {
    await project.write('crowd.csv/1.txt', peopleCsv('1,Ann'))
    await project.write('project.yaml', peopleYaml().replace("'people.csv'", "'crowd.csv'"))
    const error = await project.error('preview', SYNC)
    expect(error).toMatchObject({ exitCode: 2, code: 'missing-file' })
    expect(error.message).toMatch(
      /reads .*crowd\.csv, which is a folder, and no file in it .*: name a file, or put the files into the folder/,
    )
  })
})

describe('`--status 5xx`', () => {
  it('chooses the rows whose answers had such a status', async () => {
    api.on({ url: '/people/1' }, { status: 503 }, { times: 1 })
    api.on({ url: '/people/2' }, { status: 422 }, { times: 1 })
    await project.run(SYNC)
    expect((await project.sluice('failed', SYNC, '--status', '5xx')).stdout).toMatch(/^1 +added +unknown/m)
    const before = api.requests.length
    expect(await project.sluice('retry', SYNC, '--status', '5xx')).toMatchObject({ exitCode: 0 })
    expect(api.requests.slice(before).map(({ url }) => url)).toEqual(['/people/1'])
    expect(await project.failed(SYNC)).toMatchObject([{ key: '2' }])
    expect(await project.sluice('discard', SYNC, '--status', '4xx')).toMatchObject({ exitCode: 0 })
    expect(await project.failed(SYNC)).toEqual([])
  })
})

describe('a CSV of a spreadsheet', () => {
  it.each([
    ["read_csv('people.csv', encoding = 'utf-16')", '\ufeffid,name\n1,Zoë\n', 'utf16le', 'Zoë'],
    ["read_csv('people.csv', encoding = 'latin-1')", 'id;name\n1;Zoë\n', 'latin1', 'Zoë'],
    ["read_csv('people.csv', decimal_separator = ',')", 'id;name\n1;3,50\n2;4,25\n', 'utf8', '3.5'],
  ] as const)('is read by %s', async (from, text, encoding, name) => {
    await project.write('project.yaml', peopleYaml({ sql: `select id, name from ${from}` }))
    await project.write('people.csv', Buffer.from(text, encoding))
    expect(await project.sluice('run', SYNC)).toMatchObject({ exitCode: 0 })
    expect(api.requests.map(({ body }) => body).join()).toContain(name)
  })
})

describe('what is said of a failure', () => {
  it('is a fault of SOAP as its author wrote it', async () => {
    const body = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
      <faultcode>s:Client</faultcode><faultstring>id &lt; 5 &amp; &#34;name&#x22; empty <![CDATA[<b>]]></faultstring>
      </s:Fault></s:Body></s:Envelope>`
    api.on({ url: '/people/1' }, { status: 500, headers: { 'content-type': 'text/xml' }, body })
    const { stdout } = await project.sluice('run', SYNC)
    expect(stdout).toContain('id < 5 & "name" empty <b>')
  })

  it('is an error of DuckDB, once', async () => {
    await project.write('project.yaml', peopleYaml({ sql: `select id, nme as name from 'people.csv'` }))
    const { stderr } = await project.sluice('preview', SYNC)
    expect(stderr.match(/Binder Error/g)).toHaveLength(1)
    expect(stderr).toMatch(/project\.yaml:\d+:\d+ {2}sql/)
  })

  it('promises nothing of `preview` where the place stands above', async () => {
    await project.write('project.yaml', peopleYaml({ sql: `select id, nme as name from 'people.csv'` }))
    const { stdout } = await project.sluice('run', SYNC)
    expect(stdout).toMatch(/project\.yaml:\d+:\d+ {2}sql/)
    expect(stdout).not.toContain('where the mistake is')
  })
})

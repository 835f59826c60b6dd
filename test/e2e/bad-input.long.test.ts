/**
 * Bad input, as a user meets it (R19). Each mistake has an exit code, and an error that says where it is and
 * what to do. Sluice sends nothing for it, and takes no delivered row as removed.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ErrorBody, RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { ADDED, manyPeople, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { finished, projectFolder, type Finished, type ProjectFolder } from './project-folder.ts'

/** Mistakes by file, with the place and the message of each. */
const MISTAKES = {
  'unknown-field.yaml': {
    text: 'kind: model\nname: m1\nsource: files\nsql: select 1 as id\nprimarykey: id\n',
    detail: { line: 5, column: 1, field: 'primarykey' },
    says: ['unknown field `primarykey`', 'did you mean `primaryKey`?'],
  },
  'missing-model.yaml': {
    text: `kind: sync\nname: s1\nmodel: peple\ndestination: api\ntriggers:\n  added: { ${ADDED} }\n`,
    detail: { line: 3, column: 8, field: 'model' },
    says: ['there is no model `peple`', 'did you mean `people`?'],
  },
  'no-trigger.yaml': {
    text: 'kind: sync\nname: s2\nmodel: people\ndestination: api\ntriggers: {}\n',
    detail: { line: 5, column: 11, field: 'triggers' },
    says: ['at least one trigger: added, changed or removed'],
  },
  'unquoted.yaml': {
    text: 'kind: sync\nname: s3\nmodel: people\ndestination: api\ntriggers:\n  removed: { method: DELETE, path: {{ id }} }\n',
    detail: { line: 6, column: 36, field: 'triggers.removed.path' },
    says: ['an unquoted `{{`', 'quote it'],
  },
  'unset.yaml': {
    text: 'kind: destination\nname: d1\nbaseUrl: ${API_ULR}\n',
    detail: { line: 3, column: 10, field: 'baseUrl' },
    says: ['environment variable `API_ULR` is not set', '`API_URL`', '${API_ULR:-'],
  },
  'bad-template.yaml': {
    text: `kind: sync\nname: s4\nmodel: people\ndestination: api\ntriggers:\n  added:\n    method: POST\n    path: /p\n    body:\n      json: |\n        {"id": {{ row.id }},\n         "name": {{ row.name | jsn }}}\n`,
    detail: { line: 12, column: 32, field: 'triggers.added.body.json' },
    says: ['unknown filter "jsn"', 'did you mean "json"?'],
  },
  'unclosed-template.yaml': {
    text: `kind: sync\nname: s5\nmodel: people\ndestination: api\ntriggers:\n  removed:\n    method: DELETE\n    path: /p/{{ id\n`,
    detail: { line: 8, column: 14, field: 'triggers.removed.path' },
    says: ['}}'],
  },
  'no-url.yaml': {
    text: 'kind: destination\nname: d2\nbaseUrl: api.example.com/v1\n',
    detail: { line: 3, column: 10, field: 'baseUrl' },
    says: ['wanted an http:// or https:// URL', '`api.example.com/v1`'],
  },
} as const

describe('a project with mistakes', () => {
  let project: ProjectFolder
  let validate: { readonly exitCode: number | null } & ErrorBody['error']
  let run: typeof validate
  let shown: Finished

  beforeAll(async () => {
    const mistakes = Object.entries(MISTAKES).map(([file, { text }]) => [file, text] as const)
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), ...Object.fromEntries(mistakes) },
      env: { API_URL: 'http://127.0.0.1:9' },
      here: true,
    })
    validate = await project.error('validate')
    run = await project.error('run', '--all')
    shown = await project.sluice('run', '--all')
  })
  afterAll(() => project[Symbol.asyncDispose]())

  it.each(Object.entries(MISTAKES))(
    'gets an error for the one in %s with its place',
    (file, { detail, says }) => {
      const found = validate.details.filter(problem => problem.file === file)
      expect(found).toEqual([{ file, ...detail, message: expect.any(String) }])
      for (const text of says) expect(found[0]?.message).toContain(text)
    },
  )

  it('neither validates nor runs as a whole, and both commands report the same errors', () => {
    expect(validate).toMatchObject({ exitCode: 2, code: 'config' })
    expect(validate.details).toHaveLength(Object.keys(MISTAKES).length)
    expect(run).toEqual(validate)
  })

  it('says so to people on stderr, and nothing on stdout', () => {
    expect(shown).toMatchObject({ exitCode: 2, stdout: '' })
    for (const [file, { detail }] of Object.entries(MISTAKES))
      expect(shown.stderr).toContain(`${file}:${detail.line}:${detail.column}`)
  })
})

describe('a run', () => {
  let api: ScriptedApi
  let project: ProjectFolder

  beforeEach(async () => {
    api = await startScriptedApi()
    const destination = 'headers: { authorization: "Bearer ${secret:token}" }'
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml({ destination }), 'people.csv': peopleCsv('1,Ann') },
      env: { API_URL: api.url },
      here: true,
    })
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it('of a sync that does not exist is refused with the nearest name', async () => {
    const error = await project.error('run', 'peple')
    expect(error).toMatchObject({ exitCode: 2, code: 'not-found' })
    expect(error.message).toContain('did you mean `people`?')
  })

  it('is refused while a secret is not set, and names it', async () => {
    const error = await project.error('run', SYNC)
    expect(error).toMatchObject({ exitCode: 2, code: 'config' })
    expect(error.message).toContain('SLUICE_SECRET_TOKEN')
    expect(api.requests).toHaveLength(0)
    expect((await project.sluice('validate')).exitCode).toBe(0)
  })
})

/** Problems with a model's source, and the message of each. */
const UNREADABLE: {
  readonly [what: string]: {
    readonly files: { readonly [file: string]: string | Uint8Array }
    readonly says: readonly string[]
  }
} = {
  'a CSV that does not exist': {
    files: { 'project.yaml': peopleYaml({ sql: `select id, name from 'peple.csv'` }) },
    says: ['peple.csv', 'does not exist', 'people.csv'],
  },
  'a CSV in Latin-1': {
    files: { 'people.csv': Buffer.from('id,name\n1,Zoë\n', 'latin1') },
    says: ['people.csv, which is not UTF-8 in line', "`read_csv('people.csv', encoding = 'latin-1')`"],
  },
  'a CSV in Windows-1252': {
    files: { 'people.csv': Buffer.from('id,name\n1,Zo\u00eb \u0080\n', 'latin1') },
    says: ['people.csv, which is not UTF-8 in line', "`iconv -f CP1252 -t UTF-8 'people.csv' > utf-8.csv`"],
  },
  'a CSV in UTF-16': {
    files: { 'people.csv': Buffer.from('\ufeffid,name\n1,Zoë\n', 'utf16le') },
    says: ['people.csv, which is not UTF-8 in line', "`read_csv('people.csv', encoding = 'utf-16')`"],
  },
  'a column that the CSV lacks': {
    files: { 'project.yaml': peopleYaml({ sql: `select id,\n    nam from 'people.csv'` }) },
    says: ['line 2, column 3', 'nam', 'not found'],
  },
  'SQL with a syntax error': {
    files: { 'project.yaml': peopleYaml({ sql: `select id, from where 'people.csv'` }) },
    says: ['line 1, column 17', 'syntax error'],
  },
  'columns in templates that the query lacks': {
    files: {
      'project.yaml': peopleYaml({
        triggers: `
  added: { method: PUT, path: '/people/{{ idd }}', body: { fields: { a: nam, b: { template: "{{ row.x1 }}" } } } }
  changed: added
  removed: { method: DELETE, path: '/people/{{ id }}' }`,
      }),
    },
    says: [
      'model people does not have (it has id, name)',
      'triggers.added.path line 1, column 12: unknown column "idd"; did you mean "id"?',
      'triggers.added.body.fields.a: unknown column "nam"; did you mean "name"?',
      'triggers.added.body.fields.b.template line 1, column 4: unknown column "x1"',
    ],
  },
  'a key column that the query lacks': {
    files: { 'project.yaml': peopleYaml({ primaryKey: 'ident' }) },
    says: ['primaryKey', '"ident"', 'id, name'],
  },
  'a CSV whose content is text from the middle on where numbers were': {
    files: { 'people.csv': `${manyPeople(40_000)}x,y\n${manyPeople(3).replace('id,name\n', '')}` },
    says: ['people.csv', 'Line: 40002'],
  },
  'a CSV with a line that has too many fields': {
    files: { 'people.csv': `${manyPeople(40_000)}1,y,z\n` },
    says: ['people.csv', 'Line: 40002'],
  },
  'a CSV that is not UTF-8 from the middle on': {
    files: {
      'people.csv': Buffer.concat([Buffer.from(manyPeople(40_000)), Buffer.from([52, 44, 0xff, 10])]),
    },
    says: ['people.csv', 'which is not UTF-8 in line 40002'],
  },
  'a key whose type changed, and with it the keys of most rows': {
    files: { 'people.csv': peopleCsv('1.5,Ann', '2.5,Bob', '3.5,Cid') },
    says: ['primary key', 'id (whole number)', 'id (double)', `sluice reset ${SYNC}`],
  },
}

describe('a run whose model cannot be read', () => {
  const healthy = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') }
  let api: ScriptedApi
  let project: ProjectFolder

  beforeAll(async () => {
    api = await startScriptedApi()
    project = await projectFolder({ files: healthy, env: { API_URL: api.url }, here: true })
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0 })
    expect(api.requests).toHaveLength(3)
  })
  afterEach(async () => {
    for (const [file, text] of Object.entries(healthy)) await project.write(file, text)
  })
  afterAll(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it.each(Object.entries(UNREADABLE))(
    'for %s fails with exit code 2 and sends nothing',
    async (_, { files, says }) => {
      for (const [file, text] of Object.entries(files)) await project.write(file, text)
      const { exitCode, view } = await project.run(SYNC)
      expect(view).toMatchObject({ status: 'failed', triggers: { removed: { detected: 0 } } })
      for (const text of says) expect(view.error).toContain(text)
      expect(exitCode).toBe(2)
      expect(api.requests).toHaveLength(3)
    },
  )

  it('for a column that the query lacks names file, line and column, as the preview does', async () => {
    const what = UNREADABLE['columns in templates that the query lacks']?.files ?? {}
    for (const [file, text] of Object.entries(what)) await project.write(file, text)
    const { stdout } = await project.sluice('run', SYNC)
    const { exitCode, details } = await project.error('preview', SYNC)
    const lines = peopleYaml().split('\n')
    expect(stdout).toMatch(/project\.yaml:\d+:\d+ {2}triggers\.added\.path/)
    const line = lines.findIndex(text => text.startsWith('  added:')) + 1
    const message = `sync \`${SYNC}\`: unknown column "idd"; did you mean "id"?`
    expect(exitCode).toBe(2)
    expect(details).toHaveLength(3)
    expect(details[0]).toMatchObject({ file: 'project.yaml', line, field: 'triggers.added.path', message })
  })

  it('leaves the delivered state as it was', async () => {
    const { exitCode, view } = await project.run(SYNC)
    expect(exitCode).toBe(0)
    for (const counts of Object.values(view.triggers)) expect(counts).toMatchObject({ detected: 0 })
    expect(api.requests).toHaveLength(3)
  })
})

describe('a run with rows that cannot be taken', () => {
  it('counts rows without a key and of a duplicated key, warns, and never takes them as removed', async () => {
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') },
      env: { API_URL: api.url },
      here: true,
    })
    await project.run(SYNC)
    api.reset()
    await project.write('people.csv', peopleCsv('1,Anna', '2,Bob', '2,Bert', ',Nobody', '3,Cid', '4,Dee'))
    const first = await project.run(SYNC)
    expect(first).toMatchObject({
      exitCode: 3,
      view: {
        status: 'warning',
        error: null,
        rowsRead: 6,
        rowsInvalid: 3,
        triggers: {
          added: { detected: 1, delivered: 1 },
          changed: { detected: 1, delivered: 1 },
          removed: { detected: 0 },
        },
      },
    })
    const reasons = Object.fromEntries(
      (first.view.invalidRows ?? []).map(({ key, reason }) => [key ?? 'none', reason]),
    )
    expect(reasons['2']).toMatch(/2 rows|duplicate|more than/i)
    expect(reasons['none'] ?? Object.values(reasons).join()).toMatch(/null/i)
    expect(api.requests.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
      'PUT /people/1',
      'PUT /people/4',
    ])
    const again = await project.run(SYNC)
    expect(again).toMatchObject({ exitCode: 3, view: { status: 'warning', rowsInvalid: 3 } })
    await project.write('people.csv', peopleCsv('1,Anna', '2,Bert', '3,Cid', '4,Dee'))
    const mended = await project.run(SYNC)
    expect(mended).toMatchObject({
      exitCode: 0,
      view: { rowsInvalid: 0, triggers: { changed: { detected: 1 } } },
    })
    expect(api.requests.at(-1)).toMatchObject({ url: '/people/2', body: '{"name":"Bert"}' })
  })
})

describe('a column whose type changes between runs', () => {
  const triggers = `\n  added: { method: PUT, path: '/people/{{ id }}', body: { json: '[{{ row.name | json }}]' } }\n  changed: added`
  let api: ScriptedApi
  let project: ProjectFolder

  beforeEach(async () => {
    api = await startScriptedApi()
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml({ triggers }), 'people.csv': peopleCsv('1,10', '2,20') },
      env: { API_URL: api.url },
      here: true,
    })
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0 })
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it('from whole numbers to texts and back sends only rows that read differently', async () => {
    for (const [value, sent] of [
      ['ten', '["ten"]'],
      ['11', '[11]'],
    ] as const) {
      await project.write('people.csv', peopleCsv(`1,${value}`, '2,20'))
      expect(await project.run(SYNC)).toMatchObject({
        exitCode: 0,
        view: { error: null, triggers: { changed: { detected: 1, delivered: 1 } } },
      })
      expect(api.requests.at(-1)).toMatchObject({ url: '/people/1', body: sent })
    }
    expect(api.requests).toHaveLength(4)
  })

  it('from whole numbers to decimals and back sends the rows with their new values', async () => {
    const sent: (string | undefined)[] = []
    for (const value of ['10.5', '11', '12.25']) {
      await project.write('people.csv', peopleCsv(`1,${value}`, '2,20'))
      const { exitCode, view } = await project.run(SYNC)
      expect(view).toMatchObject({ error: null, triggers: { changed: { detected: 1, delivered: 1 } } })
      expect(exitCode).toBe(0)
      sent.push(api.requests.at(-1)?.body)
    }
    expect(sent).toEqual(['[10.5]', '[11]', '[12.25]'])
    expect(api.requests).toHaveLength(5)
  })
})

describe('a project folder with a run under way', () => {
  it('refuses another run of the sync, and the one under way ends undisturbed', async () => {
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann') },
      env: { API_URL: api.url },
      here: true,
    })
    const held = Promise.withResolvers<Record<string, never>>()
    api.on({}, () => held.promise)
    const first = finished(project.start('run', SYNC, '--json'))
    await api.waitFor(1)
    const error = await project.error('run', SYNC)
    expect(error).toMatchObject({ exitCode: 1, code: 'conflict' })
    expect(error.message).toContain(`of \`${SYNC}\``)
    expect(error.message).toContain('--wait')
    held.resolve({})
    const { exitCode, stdout } = await first
    const view: RunView = JSON.parse(stdout)
    expect({ exitCode, view }).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expect(api.requests).toHaveLength(1)
  })
})

describe('a destination that refuses connections', () => {
  it('leaves the rows unsent, and the next run sends them', async () => {
    await using api = await startScriptedApi()
    await using proxy = await TcpProxy.start({ target: { host: '127.0.0.1', port: api.port } })
    await using project = await projectFolder({
      files: { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') },
      env: { API_URL: `http://127.0.0.1:${proxy.port}` },
      here: true,
    })
    await proxy.set({ kind: 'refuse' })
    const refused = await project.run(SYNC)
    expect(refused).toMatchObject({
      exitCode: 3,
      view: { status: 'warning', triggers: { added: { detected: 2, delivered: 0, unsent: 2 } } },
    })
    expect((await project.failed(SYNC)).map(({ key, outcome, error }) => [key, outcome, error])).toEqual([
      ['1', 'unsent', expect.stringContaining('ECONNREFUSED')],
      ['2', 'unsent', expect.stringContaining('ECONNREFUSED')],
    ])
    await proxy.set({ kind: 'pass' })
    expect(await project.run(SYNC)).toMatchObject({
      exitCode: 0,
      view: { status: 'success', triggers: { added: { detected: 2, delivered: 2 } } },
    })
    expect(await project.failed(SYNC)).toEqual([])
    expect(api.requests).toHaveLength(2)
  })
})

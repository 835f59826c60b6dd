/**
 * `sluice validate --connect`: checks a project against its databases and APIs, and reports every error at
 * its place.
 */
import { readdir } from 'node:fs/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer } from 'node:https'
import { listen } from '@sluice/testkit/listen'
import { makeCertificate } from '@sluice/testkit/make-certificates'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const SOURCES = `kind: source
name: files
type: duckdb
path: .
---
kind: source
name: unused
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: |
  select id, name
  from 'people.csv'
primaryKey: id
`
const REST = `kind: destination
name: api
baseUrl: \${API_URL}
headers: { Authorization: 'Bearer \${secret:key}' }
---
kind: sync
name: people
model: people
destination: api
triggers:
  added:
    method: POST
    path: '/people/{{ id }}'
    body:
      json: |
        {
          "name": {{ name | json }}
        }
  changed: added
  removed: { method: DELETE, path: '/people/{{ gone | default: id }}' }
`

let api: ScriptedApi
let project: ProjectFolder

beforeEach(async () => {
  api = await startScriptedApi()
  project = await projectFolder({
    files: { 'sources.yaml': SOURCES, 'rest.yaml': REST, 'people.csv': 'id,name\n1,Ann\n' },
    env: { API_URL: api.url },
    here: true,
  })
})
afterEach(async () => {
  await project[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

it('says that all is well but a secret that is not set, whatever the API answers, and sends it none', async () => {
  api.on({}, { status: 401 })
  const { exitCode, stdout, stderr } = await project.sluice('validate', '--connect')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('✓ 5 resources, no errors\n✓ 2 sources, 1 query, 1 destination answered\n')
  expect(api.requests).toMatchObject([{ method: 'HEAD', url: '/', body: '' }])
  expect(Object.keys(api.requests[0]?.headers ?? {})).not.toContain('authorization')
  expect(await readdir(project.dir)).toEqual(['people.csv', 'rest.yaml', 'sources.yaml'])
  const json = await project.sluice('validate', '--connect', '--json')
  const unset = expect.stringMatching(
    /^the secret `key` is set neither here nor in the vault: set SLUICE_SECRET_KEY/,
  )
  expect(JSON.parse(json.stdout)).toEqual({ ok: true, resources: 5, skipped: [], warnings: [unset] })
})

it('finds a column that the query does not give, at its place in the template', async () => {
  await project.write('people.csv', 'id,nmae,gone\n1,Ann,1\n')
  await project.write('sources.yaml', SOURCES.replace('select id, name', 'select id, nmae'))
  expect(await project.error('validate')).toMatchObject({ exitCode: 0 })
  expect(await project.error('validate', '--connect')).toMatchObject({
    exitCode: 2,
    code: 'config',
    details: [
      {
        file: 'rest.yaml',
        line: 17,
        column: 22,
        field: 'triggers.added.body.json',
        message: 'sync `people`: unknown column "name"; did you mean "nmae"?',
      },
    ],
  })
})

it('reports all errors at once', async () => {
  await project.write(
    'sources.yaml',
    SOURCES.replace('primaryKey: id', 'primaryKey: di').replace("'people.csv'", "'people.csv' where nam = 1"),
  )
  await api.close()
  const error = await project.error('validate', '--connect')
  expect(error).toMatchObject({
    exitCode: 2,
    details: [
      { file: 'rest.yaml', line: 3, field: 'baseUrl', message: expect.stringContaining('ECONNREFUSED') },
      { file: 'sources.yaml', line: 16, column: 27, field: 'sql', message: expect.stringContaining('"nam"') },
    ],
  })
  await project.write('sources.yaml', SOURCES.replace('primaryKey: id', 'primaryKey: di'))
  expect((await project.error('validate', '--connect')).details).toContainEqual({
    file: 'sources.yaml',
    line: 17,
    column: 13,
    field: 'primaryKey',
    message: expect.stringMatching(/^model `people`: primaryKey names the column "di".*did you mean "id"\?$/),
  })
})

it('names the model once whose file is missing', async () => {
  await project.write('sources.yaml', SOURCES.replace("'people.csv'", "'peple.csv'"))
  expect((await project.error('validate', '--connect')).details).toContainEqual({
    file: 'sources.yaml',
    line: 14,
    column: 6,
    field: 'sql',
    message: expect.stringMatching(
      /^model `people`: reads the file .*peple.csv, .* Did you mean people.csv\?$/,
    ),
  })
})

it('exits with 5 if the only problem is that a server does not answer', async () => {
  await api.close()
  expect(await project.error('validate', '--connect')).toMatchObject({ exitCode: 5, code: 'unreachable' })
})

it('reports a secret that no header can carry, at the header, and drops one line break at its end', async () => {
  const validate = async (value: string) => {
    const files = { 'sources.yaml': SOURCES, 'rest.yaml': REST, 'people.csv': 'id,name\n1,Ann\n' }
    const env = { API_URL: api.url, SLUICE_SECRET_KEY: value }
    await using own = await projectFolder({ files, env, here: true })
    return await own.error('validate', '--connect')
  }
  expect(await validate('t0ken\n')).toMatchObject({ exitCode: 0 })
  const wrong = await validate('t0ken\nx')
  expect(wrong).toMatchObject({
    exitCode: 2,
    details: [
      {
        file: 'rest.yaml',
        line: 4,
        field: 'headers.Authorization',
        message:
          'destination `api`: the header `Authorization` cannot be sent: with the secret `key` filled in it has a line break',
      },
    ],
  })
  expect(JSON.stringify(wrong)).not.toContain('t0ken')
})

it('reports a folder that does not exist, even at a source that no model reads', async () => {
  await project.write(
    'sources.yaml',
    SOURCES.replace('name: unused\ntype: duckdb\npath: .', 'name: unused\ntype: duckdb\npath: ./no'),
  )
  expect(await project.error('validate', '--connect')).toMatchObject({
    exitCode: 2,
    details: [{ file: 'sources.yaml', message: expect.stringMatching(/^source `unused`: /) }],
  })
})

it('says who the server of a destination is, what is shown to it, and until when', async () => {
  const authority = makeCertificate({ name: 'test authority' })
  const client = makeCertificate({ name: 'sluice', by: authority, days: 20 })
  const server = makeCertificate({ by: authority, hosts: ['localhost', 'api.example'] })
  const wants = { ...server, ca: authority.cert, requestCert: true }
  await using listens = await listen(createServer(wants, (_request, response) => response.end()))
  const tls = "tls: { ca: '${file:authority.pem}', cert: '${file:client.pem}', key: '${file:client.key}' }\n"
  await using own = await projectFolder({
    files: {
      'sources.yaml': SOURCES,
      'rest.yaml': REST.replace(/headers: .*\n/, tls),
      'people.csv': 'id,name\n1,Ann\n',
      'authority.pem': authority.cert,
      'client.pem': client.cert,
      'client.key': client.key,
    },
    env: { API_URL: `https://localhost:${listens.port}` },
    here: true,
  })
  const { exitCode, stdout } = await own.sluice('validate', '--connect', '--json')
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  expect({ exitCode, view: JSON.parse(stdout) }).toEqual({
    exitCode: 0,
    view: {
      ok: true,
      resources: 5,
      skipped: [],
      warnings: [
        expect.stringMatching(/^destination `api`: The certificate that Sluice shows .* \(CN=sluice\)\.$/),
      ],
      destinations: [
        {
          name: 'api',
          protocol: 'TLSv1.3',
          server: {
            subject: 'CN=localhost',
            issuer: 'CN=test authority',
            names: ['localhost', 'api.example'],
            validFrom: time,
            validUntil: time,
          },
          client: {
            subject: 'CN=sluice',
            issuer: 'CN=test authority',
            names: ['localhost', '127.0.0.1'],
            validFrom: time,
            validUntil: time,
          },
        },
      ],
    },
  })
  const text = (await own.sluice('validate', '--connect')).stdout
  expect(text).toMatch(
    /server CN=localhost, until .*Z\n.*for localhost, api\.example; issued by CN=test authority\n/,
  )
  expect(text).toMatch(/client CN=sluice, until /)
})

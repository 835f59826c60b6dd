import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError } from '@sluice/contracts/errors'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadProject, loadUsable } from '../load-project.ts'
import { namesOf, type Project, resolveDefinition } from '../project.ts'

const BASE = `kind: source
name: s
type: duckdb
path: .
---
kind: destination
name: api
baseUrl: \${API_URL:-http://dev.example}
headers: { X-Team: data, X-Mode: dev }
auth: { bearer: "\${secret:token}" }
---
kind: model
name: m
source: s
sql: select 1 as id
primaryKey: id
---
kind: sync
name: orders
model: m
destination: api
schedule: { every: 15m }
triggers:
  added: { method: POST, path: /x }
`

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-environments-'))
  await write('all.yaml', BASE)
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const write = (file: string, text: string): Promise<void> => writeFile(join(dir, file), text)
const options = (env: { readonly [name: string]: string }) => ({ env, signal: new AbortController().signal })
const load = (env: { readonly [name: string]: string } = { SLUICE_ENV: 'prod' }): Promise<Project> =>
  loadProject(dir, options(env))

async function mistakes(text: string): Promise<readonly string[]> {
  await write('sluice.prod.yaml', text)
  const error: unknown = await load().then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  )
  if (!isSluiceError(error, 'config')) throw error
  return error.details.map(
    ({ file, line, column, field, message }) =>
      `${[file, line, column].join(':')} ${field ?? ''}: ${message}`,
  )
}

describe('an environment', () => {
  it('replaces fields, merges maps, and takes fields away', async () => {
    await write(
      'sluice.prod.yaml',
      `kind: environment
destinations:
  api:
    baseUrl: https://api.example
    headers: { X-Mode: prod, X-Extra: 'yes' }
    auth: null
models: { m: { sql: select 2 as id } }
syncs:
  orders:
    schedule: manual
`,
    )
    const { destination, model, sync } = resolveDefinition(await load(), 'orders')
    expect(destination).toMatchObject({
      baseUrl: 'https://api.example',
      headers: { 'X-Team': 'data', 'X-Mode': 'prod', 'X-Extra': 'yes' },
    })
    expect(destination).not.toHaveProperty('auth')
    expect(model.sql).toBe('select 2 as id')
    expect(sync.schedule).toBe('manual')
    const without = resolveDefinition(await load({}), 'orders')
    expect(without.destination).toMatchObject({
      baseUrl: 'http://dev.example',
      headers: { 'X-Team': 'data', 'X-Mode': 'dev' },
    })
    expect(without.sync.schedule).toEqual({ every: 900_000 })
  })

  it('gives values to variables, and a variable of the process comes before', async () => {
    await write(
      'sluice.prod.yaml',
      'kind: environment\nvariables: { API_URL: "https://api.example/${V:-v1}" }\n',
    )
    const urlOf = async (env: { readonly [name: string]: string }): Promise<string> =>
      resolveDefinition(await load({ SLUICE_ENV: 'prod', ...env }), 'orders').destination.baseUrl
    expect(await urlOf({})).toBe('https://api.example/v1')
    expect(await urlOf({ API_URL: 'http://shell.example' })).toBe('http://shell.example')
  })

  it('replaces a field that stands behind anchors and merges, and has anchors of its own', async () => {
    await write(
      'all.yaml',
      BASE.replace(
        'headers: { X-Team: data, X-Mode: dev }',
        'headers: &h { X-Team: data, X-Mode: dev }\nquery: { <<: *h, page: "1" }',
      ),
    )
    await write(
      'sluice.prod.yaml',
      'kind: environment\nvariables: { A: &a one }\ndestinations:\n  api:\n    query: { X-Mode: *a }\n    headers: { X-Team: ~ }\n',
    )
    expect(resolveDefinition(await load(), 'orders').destination).toMatchObject({
      query: { 'X-Team': 'data', 'X-Mode': 'one', page: '1' },
      headers: { 'X-Mode': 'dev' },
    })
  })

  it('reads `${file:PATH}` and tells mistakes in templates from its own place', async () => {
    await mkdir(join(dir, 'below'))
    await rename(join(dir, 'all.yaml'), join(dir, 'below', 'all.yaml'))
    await write('query.sql', 'select 3 as id')
    await write('sluice.prod.yaml', 'kind: environment\nmodels: { m: { sql: "${file:query.sql}" } }\n')
    expect(resolveDefinition(await load(), 'orders').model.sql).toBe('select 3 as id')
    const template =
      'kind: environment\nsyncs:\n  orders:\n    triggers:\n      added:\n        path: /x/{{ id | nope }}\n'
    expect(await mistakes(template)).toEqual([
      expect.stringMatching(/^sluice\.prod\.yaml:6:\d+ triggers\.added\.path: .*nope/),
    ])
  })

  it('is never read for another one or for none, whatever its file holds', async () => {
    await write('sluice.prod.yaml', 'kind: environment\n')
    await write('sluice.dev.yaml', 'kind: environment\nvariables: [\n')
    for (const env of [{}, { SLUICE_ENV: 'prod' }])
      expect(namesOf(await load(env as { [name: string]: string }), 'sync')).toEqual(['orders'])
  })

  it('leaves a file of resources that is called alike what it was', async () => {
    await write(
      'sluice.more.yaml',
      BASE.replaceAll('kind: destination\nname: api', 'kind: destination\nname: api2').slice(
        BASE.indexOf('kind: destination'),
        BASE.indexOf('---\nkind: model') + 1,
      ),
    )
    expect(namesOf(await load({}), 'destination')).toEqual(['api', 'api2'])
  })

  it('tells each mistake in its own file', async () => {
    expect(
      await mistakes(`kind: environment
variable: { A: b }
variables: { api_url: x, SLUICE_TOKEN: x, OK: "\${secret:x}" }
destinations:
  api: { baseURL: https://x.example, timeout: soon }
  apii: { baseUrl: https://x.example }
syncs: { orders: { name: other } }
`),
    ).toEqual([
      expect.stringMatching(/^sluice\.prod\.yaml:2:1 variable: .*did you mean `variables`\?/),
      expect.stringMatching(/^sluice\.prod\.yaml:3:14 variables\.api_url: .*wanted a name of upper case/),
      expect.stringMatching(
        /^sluice\.prod\.yaml:3:26 variables\.SLUICE_TOKEN: .*wanted a name of upper case/,
      ),
      expect.stringMatching(/^sluice\.prod\.yaml:3:\d+ variables\.OK: .*a secret may stand only/),
      expect.stringMatching(
        /^sluice\.prod\.yaml:5:10 baseURL: destination `api`: unknown field `baseURL`; did you mean `baseUrl`\?/,
      ),
      expect.stringMatching(/^sluice\.prod\.yaml:5:38 timeout: destination `api`: unknown field `timeout`/),
      expect.stringMatching(/^sluice\.prod\.yaml:6:3 destinations\.apii: there is no destination `apii`/),
      expect.stringMatching(/^sluice\.prod\.yaml:7:20 syncs\.orders\.name: /),
    ])
    expect(
      await mistakes(`kind: environment
destinations: { apii: { baseUrl: https://x.example } }
syncs: { orders: { name: other, destination: apj } }
`),
    ).toEqual([
      'sluice.prod.yaml:2:17 destinations.apii: there is no destination `apii`; did you mean `api`?',
      expect.stringMatching(
        /^sluice\.prod\.yaml:3:20 syncs\.orders\.name: an environment cannot change the `name`/,
      ),
      expect.stringMatching(/^sluice\.prod\.yaml:3:\d+ destination: .*`apj`.*did you mean `api`\?/),
    ])
  })

  it.each([
    [
      'kind: source\nname: t\ntype: duckdb\npath: .\n',
      'sluice.prod.yaml:1:1 kind: the file of an environment wants',
    ],
    [
      'kind: environment\n---\nkind: source\nname: t\n',
      'sluice.prod.yaml:3:1 kind: the file of an environment wants',
    ],
    ['', 'sluice.prod.yaml:1:1 kind: the file of an environment wants'],
    ['kind: environment\nvariables: [\n', 'sluice.prod.yaml:'],
  ])('is one document: %j', async (text, message) => {
    expect((await mistakes(text))[0]).toContain(message)
  })

  it('stops every sync by a mistake, since rows would go to another API', async () => {
    await write(
      'sluice.prod.yaml',
      'kind: environment\ndestinations: { apii: { baseUrl: https://x.example } }\n',
    )
    const usable = async (): Promise<readonly string[]> =>
      namesOf(await loadUsable(dir, options({ SLUICE_ENV: 'prod' })), 'sync')
    expect(await usable()).toEqual([])
    // What the environment changes may stand in a file that cannot be read, or be a typing mistake.
    await write('broken.yaml', 'kind: destination\nname: [\n')
    expect(await usable()).toEqual([])
    await write('sluice.prod.yaml', 'kind: environment\n')
    expect(await usable()).toEqual(['orders'])
  })

  it('stands beside `sluice.yaml` alone', async () => {
    await write('envs.yaml', 'kind: environment\n')
    await expect(load({})).rejects.toMatchObject({
      details: [
        { file: 'envs.yaml', line: 1, field: 'kind', message: expect.stringContaining('sluice.NAME.yaml') },
      ],
    })
  })

  it('has to be there, and its name be one', async () => {
    await write('sluice.prod.yaml', 'kind: environment\n')
    await expect(load({ SLUICE_ENV: 'prdo' })).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringContaining('did you mean `prod`?'),
    })
    await expect(load({ SLUICE_ENV: '../x' })).rejects.toMatchObject({ code: 'usage' })
  })

  it('refuses aliases that make its file huge', async () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      const below = level === 0 ? 'x' : `*a${level - 1}`
      return `  L${level}: &a${level} [${Array.from({ length: 8 }, () => below).join(', ')}]`
    })
    const told = await mistakes(
      `kind: environment\ndestinations:\n  api:\n${levels.map(line => `  ${line}`).join('\n')}\n    headers: { X-A: *a11 }\n`,
    )
    expect(told.join()).toContain('found a list')
    expect((await mistakes('kind: environment\nmodels: { m: { sql: &a [*a] } }\n')).join()).toContain(
      'model `m`',
    )
    expect(
      (
        await mistakes('kind: environment\ndestinations: { api: { auth: &a { bearer: { x: *a } } } }\n')
      ).join(),
    ).toContain('destination `api`')
  })
})

/** Two teams on one Kafka, whose resources have the same names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed } from './distributed.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const settings = (name: string): string => `kind: project\nname: ${name}\n`

describe.skipIf(realServices() === null)('two projects with equal names on one Kafka', () => {
  let services: Distributed
  const apis: ScriptedApi[] = []
  const folders: ProjectFolder[] = []
  const [one, two] = [
    () => ({ api: apis[0] as ScriptedApi, folder: folders[0] as ProjectFolder }),
    () => ({ api: apis[1] as ScriptedApi, folder: folders[1] as ProjectFolder }),
  ]

  beforeAll(async () => {
    services = await startDistributed()
    for (const [name, rows] of [
      ['team1', peopleCsv('1,Ann', '2,Bob', '3,Cid')],
      ['team2', peopleCsv('7,Gil')],
    ] as const) {
      const api = await startScriptedApi()
      const files = { 'sluice.yaml': settings(name), 'project.yaml': peopleYaml(), 'people.csv': rows }
      apis.push(api)
      folders.push(await projectFolder({ files, env: { ...services.env, API_URL: api.url }, here: true }))
    }
    const { exitCode, stderr } = await one().folder.sluice('run', 'people')
    expect([exitCode, stderr]).toEqual([0, expect.any(String)])
    expect(one().api.requests.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT'])
  })
  afterAll(async () => {
    for (const each of [...folders, ...apis]) await each[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
  })

  it('leaves the rows of the first one alone, and says whose the names are and what to do', async () => {
    const { exitCode, stdout, stderr } = await two().folder.sluice('run', 'people')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toContain('the sync `people` belong to the project `team1`')
    expect(stderr).toContain('this folder is the project `team2`')
    expect(stderr).toContain('Nothing was changed and nothing was sent.')
    expect(stderr).toContain('`name: team1`')
    expect(stderr).toMatch(/`sluice .*apply --take-over`/)
    expect(one().api.requests).toHaveLength(3)
    expect(two().api.requests).toEqual([])
    expect((await one().folder.run('people')).view).toMatchObject({
      status: 'success',
      triggers: { added: { detected: 0 }, changed: { detected: 0 }, removed: { detected: 0 } },
    })
  })

  it('lets no command of the second one do anything to the first', async () => {
    const [last] = await one().folder.runs()
    const asked = [
      ['apply'],
      ['apply', '--prune'],
      ['diff'],
      ['preview', 'people'],
      ['run', '--all'],
      ['retry', 'people'],
      ['discard', 'people'],
      ['resync', 'people'],
      ['reset', 'people'],
      ['replay', 'people', '--since', '1h', '--yes'],
      ['send', 'people', '--key', '7', '--trigger', 'added', '--yes'],
      ['rollback', 'sync/people', '--to', '1'],
    ]
    for (const args of asked)
      expect([args, await two().folder.error(...args)]).toEqual([
        args,
        expect.objectContaining({
          exitCode: 1,
          code: 'conflict',
          message: expect.stringContaining('`team1`'),
        }),
      ])
    expect(one().api.requests).toHaveLength(3)
    expect(two().api.requests).toEqual([])
    expect((await one().folder.runs()).map(({ id }) => id)).toEqual(expect.arrayContaining([last?.id]))
    expect(await one().folder.runs()).toHaveLength(2)
  })

  it('runs other names of the second one, and says what it leaves alone', async () => {
    await two().folder.write(
      'own.yaml',
      peopleYaml()
        .replace('name: people', 'name: team2-people')
        .replaceAll('name: files', 'name: team2-files')
        .replace('source: files', 'source: team2-files')
        .replace('name: api', 'name: team2-api')
        .replace(
          'name: people\nmodel: people\ndestination: api',
          'name: team2\nmodel: team2-people\ndestination: team2-api',
        ),
    )
    const { exitCode, stderr } = await two().folder.sluice('run', 'team2')
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('the sync `people`')])
    expect(two().api.requests.map(({ url }) => url)).toEqual(['/people/7'])
    expect(one().api.requests).toHaveLength(3)
  })

  it('takes over by word, and from then on the first one may do nothing', async () => {
    const taken = await two().folder.sluice('apply', '--take-over')
    expect([taken.exitCode, taken.stdout]).toEqual([0, expect.stringContaining('(of team1 until now)')])
    const refused = await one().folder.error('run', 'people')
    expect(refused).toMatchObject({
      ...{ exitCode: 1, code: 'conflict' },
      message: expect.stringContaining('belong to the project `team2`'),
    })
    expect(one().api.requests).toHaveLength(3)
  })

  it('that have no name of their own, and whose folders are called alike, do not meet by accident', async () => {
    const yaml = peopleYaml().replaceAll(/people|files|api(?=\n)/g, 'unnamed-$&')
    const files = (row: string) => ({ 'project.yaml': yaml, 'unnamed-people.csv': peopleCsv(row) })
    const of = { name: 'sluice', here: true }
    const [api, other] = [one().api, two().api]
    const env = (url: string) => ({ ...services.env, API_URL: url })
    await using first = await projectFolder({ ...of, files: files('1,Ann'), env: env(api.url) })
    await using second = await projectFolder({ ...of, files: files('7,Gil'), env: env(other.url) })
    const before = [api.requests.length, other.requests.length]
    expect((await first.run('unnamed-people')).view.status).toBe('success')
    for (const args of [['run', 'unnamed-people'], ['apply', '--prune'], ['diff']])
      expect(await second.error(...args)).toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(
          `the project \`sluice\` of ${first.dir}, and this folder is ${second.dir}`,
        ),
      })
    await second.write('project.yaml', '')
    expect((await second.sluice('apply', '--prune')).stdout).toContain('Nothing has changed')
    expect([api.requests.length, other.requests.length]).toEqual([(before[0] ?? 0) + 1, before[1]])
    // Its own edits count as ever.
    await first.write('project.yaml', yaml.replace('triggers:', 'timeout: 7s\ntriggers:'))
    expect((await first.run('unnamed-people')).view.status).toBe('success')
  })
})

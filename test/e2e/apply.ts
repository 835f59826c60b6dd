/** The promises of `diff`, `apply`, `history` and `rollback`, wherever the syncs run. */
import { expect } from 'vitest'
import type { ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleYaml } from './people-project.ts'
import type { ProjectFolder } from './project-folder.ts'

const json = <T>(text: string): T => JSON.parse(text) as T
interface Changes {
  readonly changes: readonly { kind: string; name: string; action: string; fields: readonly string[] }[]
}

export async function changesOf(
  project: ProjectFolder,
  ...args: readonly string[]
): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await project.sluice(...args, '--json')
  expect(exitCode, stdout + stderr).toBe(0)
  return json<Changes>(stdout).changes.map(({ kind, name, action, fields }) =>
    [`${action} ${kind}/${name}`, ...fields].join(' '),
  )
}

/**
 * The story of a folder that is applied, edited, pruned and rolled back. `syncs` gives the names of the syncs
 * as they are stored.
 */
export async function applyStory(
  project: ProjectFolder,
  syncs: () => Promise<readonly string[]>,
): Promise<void> {
  const created = ['source/files', 'destination/api', 'model/people', 'sync/people'].map(
    key => `create ${key}`,
  )
  expect(await changesOf(project, 'diff', '--project', 'crm')).toEqual(created)
  expect(await syncs()).toEqual([])
  expect(await changesOf(project, 'apply', '--project', 'crm')).toEqual(created)
  expect(await syncs()).toEqual(['people'])
  expect(await changesOf(project, 'apply', '--project', 'crm')).toEqual([])

  const more = peopleYaml({ sync: 'timeout: 7s' })
  await project.write('project.yaml', more)
  await project.write('more.yaml', secondSync())
  const edited = ['update sync/people timeout', 'create sync/second']
  expect(await changesOf(project, 'diff', '--project', 'crm')).toEqual(edited)
  const text = await project.sluice('diff', '--project', 'crm')
  expect(text.stdout).toContain('30s → 7s')
  expect(text.stdout).toContain('1 to create, 1 to change.')
  expect(await changesOf(project, 'apply', '--project', 'crm')).toEqual(edited)

  // Another project is not touched, and touches nothing.
  const refused = await project.error('apply', '--project', 'other')
  expect(refused).toMatchObject({ exitCode: 1, code: 'conflict', message: expect.stringContaining('`crm`') })
  await project.write('more.yaml', '')
  expect(await changesOf(project, 'diff', '--project', 'crm')).toEqual([])
  expect(await changesOf(project, 'diff', '--project', 'crm', '--prune')).toEqual(['delete sync/second'])
  expect(await changesOf(project, 'apply', '--project', 'crm', '--prune')).toEqual(['delete sync/second'])
  expect(await syncs()).toEqual(['people'])

  const own = await project.error('rollback', 'sync/people')
  expect(own).toMatchObject({ code: 'conflict', message: expect.stringContaining('the project `crm`') })
  const rolled = await project.sluice('rollback', 'sync/people', '--take-over')
  expect([rolled.exitCode, rolled.stdout]).toEqual([
    0,
    'sync people is at version 3 now (changed: timeout)\n',
  ])
  const history = await project.sluice('history', 'sync/people')
  expect(
    history.stdout
      .split('\n')
      .slice(1, -1)
      .map(line => line.trim().split(/ {2,}/)[0]),
  ).toEqual(['3', '2', '1'])
  const taken = await project.error('apply', '--project', 'crm')
  expect(taken).toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('was written on the server'),
  })
  expect(await changesOf(project, 'apply', '--project', 'crm', '--take-over')).toEqual([
    'update sync/people timeout',
  ])
}

function secondSync(): string {
  return `kind: sync\nname: second\nmodel: people\ndestination: api\ntriggers: { added: { method: POST, path: /second } }\n`
}

/** A run uses what was applied before it began, and a sync that goes takes all that is known of it along. */
export async function appliedRuns(
  folder: ProjectFolder,
  api: ScriptedApi,
  of: readonly string[] = [],
): Promise<void> {
  await folder.write('more.yaml', secondSync())
  expect(await changesOf(folder, 'apply', ...of)).toContain('create sync/second')
  expect((await folder.run('second')).view).toMatchObject({
    triggers: { added: { detected: 2, delivered: 2 } },
  })
  expect((await folder.run('second')).view).toMatchObject({ triggers: { added: { detected: 0 } } })
  await folder.write('more.yaml', '')
  expect(await changesOf(folder, 'apply', '--prune', ...of)).toEqual(['delete sync/second'])
  expect((await folder.error('run', 'second')).code).toBe('not-found')
  await folder.write('more.yaml', secondSync())
  await changesOf(folder, 'apply', ...of)
  expect((await folder.run('second')).view).toMatchObject({ triggers: { added: { detected: 2 } } })
  expect(api.requests.filter(({ url }) => url === '/second')).toHaveLength(4)
}

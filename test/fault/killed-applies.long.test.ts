/**
 * `kill -9` of `sluice apply` at random moments: a run sees all of a set, or nothing of it, and a sync that
 * was deleted is gone in the end. The set is larger than one append of the log.
 *
 * SLUICE_TEST_SEED plays a plan again.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { changesOf } from '../e2e/apply.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const KILLS = 12
const MODELS = 30
/** With these, a set has more than a megabyte. */
const PADDING = 'x'.repeat(40_000)
const SEED = seedOf()
const APPLY = ['apply', '--project', 'killed', '--prune'] as const

const source = 'kind: source\nname: files\ntype: duckdb\npath: .\n'
/** A file may have a megabyte. */
async function writeModels(project: ProjectFolder, version: number): Promise<void> {
  for (let index = 0; index < MODELS; index += 1)
    await project.write(
      `m${index}.yaml`,
      `kind: model\nname: m${index}\nsource: files\nprimaryKey: id\nsql: select ${version} as id -- ${PADDING}\n`,
    )
}
const people = `---
kind: destination
name: api
baseUrl: http://127.0.0.1:9
---
kind: sync
name: people
model: m0
destination: api
firstRun: skip-existing
triggers: { added: { method: POST, path: /x } }
`

/** Kills it at a moment of its first seconds, if it has not ended by then. */
async function killed(project: ProjectFolder, afterMs: number): Promise<void> {
  const child = project.start(...APPLY)
  child.stdout?.resume()
  child.stderr?.resume()
  // Its output closes once the process that does the work is gone, too: on an older Node that is a child of
  // this one.
  const ended = once(child, 'close')
  // A moment that depends on nothing is the point of this test.
  await Promise.race([ended, sleep(afterMs)])
  child.kill('SIGKILL')
  await ended
}

describe(`kills of apply (SLUICE_TEST_SEED=${SEED})`, () => {
  it('leave nothing half done', { timeout: 240_000 }, async () => {
    const random = randomOf(SEED)
    await using project = await projectFolder({ env: {}, here: true })
    let whole = 0
    for (let version = 1; version <= KILLS; version += 1) {
      await project.write('project.yaml', source)
      await writeModels(project, version)
      await killed(project, 200 + random(2_500))
      const left = await changesOf(project, 'diff', ...APPLY.slice(1))
      const all = whole === 0 ? MODELS + 1 : MODELS
      expect([0, all], `after kill ${version}`).toContain(left.length)
      if (left.length === 0) whole = version
    }
    await changesOf(project, ...APPLY)
    expect(await changesOf(project, 'diff', ...APPLY.slice(1))).toEqual([])
  })

  it('leave no sync behind that was deleted', { timeout: 240_000 }, async () => {
    const random = randomOf(SEED + 1)
    // Each command in a process of its own: what the killed one leaves is found as users find it.
    await using project = await projectFolder({ env: {} })
    for (let kill = 0; kill < KILLS / 3; kill += 1) {
      await project.write('project.yaml', source + people)
      await writeModels(project, kill)
      await changesOf(project, ...APPLY)
      expect((await project.run('people')).view).toMatchObject({ status: 'success', rowsRead: 1 })
      await project.write('project.yaml', source)
      await killed(project, 400 + random(1_500))
      await changesOf(project, ...APPLY)
      // It begins anew: had its state been left, this run would not be its first.
      await project.write('project.yaml', source + people)
      await changesOf(project, ...APPLY)
      const { stdout, stderr } = await project.sluice('preview', 'people')
      expect(stdout + stderr).toContain('firstRun is skip-existing')
    }
  })
})

/**
 * `kill -9` of `sluice apply` at random moments: a run sees all of a set, or nothing of it, and a sync that
 * was deleted is gone in the end. The set is larger than one append of the log.
 *
 * SLUICE_TEST_SEED plays a plan again.
 */
import { describe, expect, it } from 'vitest'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { changesOf } from '../e2e/apply.ts'
import { projectFolder } from '../e2e/project-folder.ts'
import { APPLY, cutApply, MODELS, PEOPLE, SOURCE, writeModels } from './killed-applies.ts'

const KILLS = 9
const SEED = seedOf()

describe(`kills of apply (SLUICE_TEST_SEED=${SEED})`, () => {
  it('leave nothing half done', { timeout: 240_000 }, async () => {
    const random = randomOf(SEED)
    await using project = await projectFolder({ env: {}, here: true })
    let whole = 0
    for (let version = 1; version <= KILLS; version += 1) {
      await project.write('project.yaml', SOURCE)
      await writeModels(project, version)
      await cutApply(project, 200 + random(2_500))
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
      await project.write('project.yaml', SOURCE + PEOPLE)
      await writeModels(project, kill)
      await changesOf(project, ...APPLY)
      expect((await project.run('people')).view).toMatchObject({ status: 'success', rowsRead: 1 })
      await project.write('project.yaml', SOURCE)
      await cutApply(project, 400 + random(1_500))
      await changesOf(project, ...APPLY)
      // It begins anew: had its state been left, this run would not be its first.
      await project.write('project.yaml', SOURCE + PEOPLE)
      await changesOf(project, ...APPLY)
      const { stdout, stderr } = await project.sluice('preview', 'people')
      expect(stdout + stderr).toContain('firstRun is skip-existing')
    }
  })
})

/** The removal guard as the command shows it, in either profile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import type { Opened, Profile } from './profiles.ts'

export const GUARD = { removalGuard: { share: 0.5, rows: 2 } }

export function heldRunSuite(profile: Profile): void {
  describe(`a held run, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened

    beforeEach(async ({ onTestFailed }) => {
      api = await startScriptedApi()
      const sync = `removalGuard: ${JSON.stringify(GUARD.removalGuard)}`
      const files = { 'project.yaml': peopleYaml({ sync }), 'people.csv': manyPeople(5) }
      opened = await profile.open({ files, env: { API_URL: api.url }, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    const deletes = (): readonly string[] =>
      api.requests
        .filter(({ method }) => method === 'DELETE')
        .map(({ url }) => url)
        .sort()

    it('waits until it is approved, and waits again if it would then remove more rows', async () => {
      const { project } = opened
      const { view: first } = await project.run(SYNC)
      expect(first).toMatchObject({ status: 'success', triggers: { added: { delivered: 5 } } })
      await project.write('people.csv', manyPeople(2))
      const { exitCode, view: held } = await project.run(SYNC)
      expect(exitCode).toBe(4)
      expect(held).toMatchObject({
        status: 'held',
        endedAt: null,
        error: null,
        held: { removed: 3, rows: 5, samples: ['3', '4', '5'] },
        triggers: { removed: { detected: 3, delivered: 0, unsent: 0 } },
      })
      const { stdout } = await project.sluice('runs', 'show', held.id)
      expect(stdout).toContain('would remove 3 of 5 rows')
      expect(stdout).toMatch(new RegExp(`sluice --dir \\S+ approve ${held.id}`))

      // Nobody approved the removal of the last two rows.
      await project.write('people.csv', peopleCsv())
      const approval = await project.sluice('approve', held.id, '--json')
      expect(approval.exitCode).toBe(4)
      expect(JSON.parse(approval.stdout)).toMatchObject({ id: held.id, status: 'held', held: { removed: 5 } })
      expect(api.requests).toHaveLength(5)

      const approved = await project.sluice('approve', held.id, '--json')
      expect(approved.exitCode, approved.stderr).toBe(0)
      expect(JSON.parse(approved.stdout)).toMatchObject({
        id: held.id,
        status: 'success',
        triggers: { removed: { detected: 5, delivered: 5 } },
      })
      expect(deletes()).toEqual([1, 2, 3, 4, 5].map(id => `/people/${id}`))
      expect(await project.error('approve', held.id)).toMatchObject({
        exitCode: 2,
        message: expect.stringContaining('has ended already (success): there is nothing to approve'),
      })
    })

    it('waits by default if the model has become empty, however few rows it had', async () => {
      const { project } = opened
      await project.write('project.yaml', peopleYaml())
      expect(await project.run(SYNC)).toMatchObject({ view: { triggers: { added: { delivered: 5 } } } })
      await project.write('people.csv', manyPeople(1))
      expect(await project.run(SYNC)).toMatchObject({ view: { triggers: { removed: { delivered: 4 } } } })
      await project.write('people.csv', peopleCsv())
      expect((await project.sluice('preview', SYNC)).stdout).toContain(
        'the removal guard would hold the run until somebody approves it: the model has no usable row, and it would remove 1 of 1 rows',
      )
      const { exitCode, stdout } = await project.sluice('run', SYNC)
      expect(exitCode).toBe(4)
      expect(stdout).toContain(
        'the model has no usable row, and it would remove 1 of 1 row. Nothing was sent.',
      )
      expect(deletes()).toHaveLength(4)
      const [held] = await project.runs()
      const approved = await project.sluice('approve', held?.id ?? '', '--json')
      expect(JSON.parse(approved.stdout)).toMatchObject({
        id: held?.id,
        status: 'success',
        triggers: { removed: { delivered: 1 } },
      })
      expect(deletes()).toHaveLength(5)
    })
  })
}

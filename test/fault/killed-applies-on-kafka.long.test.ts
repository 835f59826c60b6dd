/**
 * `kill -9` beside `sluice apply` on Kafka at random moments: of the command, of the console that carries it
 * out, and of the detector that takes a deleted sync away. All of a set counts, or nothing of it, and a sync
 * that was deleted is gone in the end.
 *
 * SLUICE_TEST_SEED plays a plan again.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { changesOf } from '../e2e/apply.ts'
import { realServices, startDistributed, type Distributed, type ServiceProcess } from '../e2e/distributed.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { APPLY, cutApply, MODELS, PEOPLE, SOURCE, writeModels } from './killed-applies.ts'

const KILLS = 4
const DELETIONS = 3
const SEED = seedOf()
const DIFF = ['diff', ...APPLY.slice(1)] as const

describe.skipIf(realServices() === null)(
  `kills beside apply on Kafka (SLUICE_TEST_SEED=${SEED})`,
  { timeout: 480_000 },
  () => {
    let services: Distributed
    let server: ServiceProcess
    beforeAll(async () => {
      services = await startDistributed()
      server = await services.add('console')
    })
    afterAll(() => services[Symbol.asyncDispose]())

    const again = async (process: ServiceProcess | undefined): Promise<void> => {
      await process?.kill()
      await process?.start()
    }

    /** Applies one version after the other, and kills beside each. All of a version counts, or nothing. */
    const applyAll = async (
      project: ProjectFolder,
      random: (below: number) => number,
      cut: (version: number, afterMs: number) => Promise<void>,
    ): Promise<void> => {
      await project.write('project.yaml', SOURCE)
      await writeModels(project, 0)
      await changesOf(project, ...APPLY)
      for (let version = 1; version <= KILLS; version += 1) {
        await writeModels(project, version)
        await cut(version, 300 + random(4_000))
        const left = await changesOf(project, ...DIFF)
        expect([0, MODELS], `after kill ${version}`).toContain(left.length)
      }
      await changesOf(project, ...APPLY)
      expect(await changesOf(project, ...DIFF)).toEqual([])
    }

    it('leave nothing half done where the command writes to Kafka', async ({ onTestFailed }) => {
      onTestFailed(() => void process.stderr.write(services.logs()))
      await using project = await projectFolder({ env: services.env })
      await applyAll(project, randomOf(SEED), (_, afterMs) => cutApply(project, afterMs))
    })

    it('leave nothing half done where a console writes, be it killed or the command', async ({
      onTestFailed,
    }) => {
      onTestFailed(() => void process.stderr.write(services.logs()))
      // A console that starts again has another address.
      const env = { SLUICE_URL: server.url }
      await using project = await projectFolder({ env })
      await applyAll(project, randomOf(SEED + 1), async (version, afterMs) => {
        await cutApply(project, afterMs, version % 2 === 0 ? undefined : () => again(server))
        env.SLUICE_URL = server.url
      })
    })

    it('leave no sync behind that was deleted, whichever process dies', async ({ onTestFailed }) => {
      onTestFailed(() => void process.stderr.write(services.logs()))
      const random = randomOf(SEED + 2)
      const [detector] = services.of('change-detector')
      const env = { SLUICE_URL: server.url }
      await using project = await projectFolder({ env })
      const victims = [undefined, () => again(server), () => again(detector)]
      for (let deletion = 0; deletion < DELETIONS; deletion += 1) {
        await project.write('project.yaml', SOURCE + PEOPLE)
        await writeModels(project, deletion)
        await changesOf(project, ...APPLY)
        expect((await project.run('people')).view).toMatchObject({ status: 'success', rowsRead: 1 })
        await project.write('project.yaml', SOURCE)
        await cutApply(project, 800 + random(2_500), victims[deletion % victims.length])
        env.SLUICE_URL = server.url
        await changesOf(project, ...APPLY)
        expect(await changesOf(project, ...DIFF)).toEqual([])
        // It begins anew: had its state been left, this run would not be its first.
        await project.write('project.yaml', SOURCE + PEOPLE)
        await changesOf(project, ...APPLY)
        const { stdout, stderr } = await project.sluice('preview', 'people')
        expect(stdout + stderr).toContain('firstRun is skip-existing')
      }
    })
  },
)

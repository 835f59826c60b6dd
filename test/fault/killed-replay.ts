/**
 * A replay whose processes are killed with SIGKILL in the middle of it. What it had sent is repeated within
 * the bound of R7, and the next run makes destination and model equal (PROTOCOL.md §12).
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { startScriptedApi, type RecordedRequest } from '@sluice/testkit/scripted-api'
import { realServices } from '../e2e/distributed.ts'
import { ADDED, manyPeople, peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'
import { startPipeline, CONCURRENCY as SERVED } from './people-pipeline.ts'

const PEOPLE = 300
const CONCURRENCY = 5

const YAML = peopleYaml({
  destination: `limits: { rate: { requests: 200, per: second }, concurrency: ${CONCURRENCY} }`,
  // Short, since the run after a kill waits for it, and 2 s more (PROTOCOL.md §8).
  sync: 'timeout: 3s',
  triggers: `\n  added: { ${ADDED} }\n  changed: added`,
})

export function killedReplaySuite(kills: number): void {
  describe('a replay killed at a random moment', () => {
    it(
      `repeats little, and the model's rows are there in the end, over ${kills} kills`,
      { timeout: kills * 90_000 },
      async () => {
        for (let kill = 1; kill <= kills; kill += 1) {
          await using api = await startScriptedApi()
          await using project = await projectFolder({
            files: { 'project.yaml': YAML, 'people.csv': manyPeople(PEOPLE) },
            env: { API_URL: api.url },
          })
          const { view: first } = await project.run(SYNC)
          const newer = Array.from({ length: PEOPLE }, (_, id) => `${id + 1},newer ${id + 1}`)
          await project.write('people.csv', peopleCsv(...newer))
          await project.run(SYNC)
          const before = api.requests.length
          const after = randomInt(1, PEOPLE)
          const replay = project.start('replay', SYNC, '--run', first.id, '--yes')
          await api.waitFor(before + after)
          replay.kill('SIGKILL')
          await finished(replay)
          const seen = `kill ${kill}, after ${after} of ${PEOPLE} requests`
          expect((await project.run(SYNC)).view, seen).toMatchObject({ status: 'success', error: null })
          const replayed = api.requests.slice(before).filter(({ body }) => body.includes('"name '))
          expect(new Set(replayed.map(({ url }) => url)).size, seen).toBe(PEOPLE)
          expect(replayed.length - PEOPLE, seen).toBeLessThanOrEqual(2 * CONCURRENCY)
          expectNewest(api.requests, 'newer', seen)
        }
      },
    )
  })
}

/** The last request for each person has the newest name. */
function expectNewest(requests: readonly RecordedRequest[], name: string, seen: string): void {
  const last = new Map(requests.map(({ url, body }) => [url, body]))
  expect([...last].filter(([, body]) => !body.includes(`"${name} `)).slice(0, 3), seen).toEqual([])
}

export function killedReplayOnKafkaSuite(): void {
  describe.skipIf(realServices() === null)('a replay on Kafka', { timeout: 150_000 }, () => {
    it('goes on though detector, renderer and delivery are killed in the middle of it', async () => {
      const counts = { 'change-detector': 2, renderer: 2, delivery: 2 }
      await using pipeline = await startPipeline({ people: PEOPLE, rate: 100, timeout: '1s', counts })
      const { api, project, services } = pipeline
      await pipeline.rename(1)
      const { view: first } = await pipeline.run()
      await pipeline.rename(2)
      await pipeline.run()
      const before = api.requests.length
      const replay = finished(project.start('replay', SYNC, '--run', first.id, '--yes', '--json'))
      for (const [index, name] of (['delivery', 'change-detector', 'renderer'] as const).entries()) {
        await api.waitFor(requests => requests.length >= before + 40 * (index + 1))
        // One of the two has the partition, and either may be the one.
        await Promise.all(services.of(name).map(process => process.kill()))
        await Promise.all(services.of(name).map(process => process.start()))
      }
      const { stdout } = await replay
      expect(stdout, services.logs()).toContain('"cause":"replay"')
      await pipeline.settled()
      await api.settled()
      const replayed = api.requests.slice(before)
      expect(new Set(replayed.map(({ url }) => url)).size, services.logs()).toBe(PEOPLE)
      expect(replayed.length - PEOPLE).toBeLessThanOrEqual(2 * SERVED)
      const { view } = await pipeline.run()
      expect(view.triggers.changed).toMatchObject({ detected: PEOPLE, delivered: PEOPLE })
      const last = new Map(api.requests.map(({ url, body }) => [url, body]))
      expect([...last.values()].filter(body => !body.includes('"name 2"'))).toEqual([])
      await pipeline.auditTopics()
    })
  })
}

/**
 * A run that is killed with SIGKILL at random moments. Every row arrives. The number of repeated requests is
 * bounded, and they carry the same key (R7, R8).
 */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { ADDED, manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const ROWS = 5000
/** The number of kills in one project, and the time after a start within which each comes. */
const KILLS_IN_A_ROW = 7
const KILLED_WITHIN_MS = 1500
const CONCURRENCY = 20
/** The requests that a run has sent before `killWhileItSends` kills it. */
const SENT_FIRST = 10
/**
 * The most requests that a kill may repeat (R7): those in flight, and as many again whose attempt was not
 * acknowledged. The API cannot tell both apart: it may have sent answers that the process had not read.
 */
const REPEATABLE = 2 * CONCURRENCY

/** Short, since a run after a kill waits for it, and 2 s more (PROTOCOL.md §8). */
const TIMEOUT = 'timeout: 3s'

const PROJECT = {
  'project.yaml': peopleYaml({
    destination: `limits: { rate: { requests: 4000, per: second }, concurrency: ${CONCURRENCY} }`,
    sync: TIMEOUT,
    triggers: `\n  added: { ${ADDED} }`,
  }),
  'people.csv': manyPeople(ROWS),
}

/** Rows that are tried again and again under kills. */
const TRIED_ROWS = 1500
/** Tries within the run, with pauses that a kill often falls into. */
const TRIES = `${TIMEOUT}\nerrors: { retry: now, attempts: 4, backoff: { first: 200ms, max: 400ms } }`

export function killedRunSuite(kills: number): void {
  describe('a run killed at a random moment', () => {
    it(
      `delivers every row all the same, over ${kills} kills`,
      async () => {
        for (let kill = 1; kill <= kills; kill += 1) {
          await using api = await startScriptedApi()
          await using project = await projectFolder({ files: PROJECT, env: { API_URL: api.url } })
          const killedAfter = randomInt(1, ROWS)
          await killAfter(project, api, killedAfter)
          if (kill === 1) {
            const [left] = await project.runs()
            expect(left).toMatchObject({
              status: 'running',
              notices: [expect.stringContaining('its process has ended')],
            })
          }
          const next = await project.run(SYNC)
          const seen = `kill ${kill}, after ${killedAfter} requests`
          expect(next, seen).toMatchObject({ exitCode: 0, view: { status: 'success' } })
          assertDelivered(api.requests, REPEATABLE, seen)
          const runs = await project.runs()
          expect(
            runs.map(({ status }) => status),
            seen,
          ).toEqual(['success', 'failed'])
          expect(runs[1]?.error, seen).toContain('interrupted')
        }
      },
      kills * 60_000,
    )
  })
}

export function runsKilledInARowSuite(): void {
  describe('runs killed one after the other in one project', () => {
    it(
      `deliver every row in the end, and know that they did, after ${KILLS_IN_A_ROW} kills`,
      async () => {
        const seed = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
        const random = randomFrom(seed)
        await using api = await startScriptedApi()
        await using project = await projectFolder({ files: PROJECT, env: { API_URL: api.url } })
        // The rate leaves work for all of them. Each run finds what the run before left, at any point.
        await project.write(
          'project.yaml',
          PROJECT['project.yaml'].replace('requests: 4000', 'requests: 500'),
        )
        for (let kill = 1; kill <= KILLS_IN_A_ROW; kill += 1) {
          const child = project.start('run', SYNC)
          const closed = once(child, 'close')
          const timer = setTimeout(() => child.kill('SIGKILL'), random.below(KILLED_WITHIN_MS))
          await closed
          clearTimeout(timer)
        }
        await project.write('project.yaml', PROJECT['project.yaml'])
        const seen = `SLUICE_TEST_SEED=${seed}`
        expect(await project.run(SYNC), seen).toMatchObject({ exitCode: 0, view: { status: 'success' } })
        assertDelivered(api.requests, KILLS_IN_A_ROW * REPEATABLE, seen)
        const sent = api.requests.length
        for (const how of ['as it is', 'rebuilt']) {
          if (how === 'rebuilt') await rm(join(project.dir, '.sluice/state'), { recursive: true })
          const again = await project.run(SYNC)
          expect(again, `${seen}: the state ${how}`).toMatchObject({
            exitCode: 0,
            view: { rowsRead: ROWS, triggers: { added: { detected: 0 } } },
          })
        }
        expect(api.requests.length, seen).toBe(sent)
        for (const { status } of await project.runs())
          expect(['success', 'failed', 'cancelled'], seen).toContain(status)
      },
      KILLS_IN_A_ROW * 30_000,
    )
  })
}

/**
 * The API fails the first tries of many rows. So at each kill, some requests wait for their next try. Each
 * process is killed once it has sent some. With `sideBySide`, so many projects, each killed as often, at a
 * time: they mostly wait for the API.
 */
export function killedTriesSuite(kills: number, sideBySide = 1): void {
  describe('runs whose requests are tried again, killed one after the other', () => {
    it.concurrent.for(Array.from({ length: sideBySide }, (_, index) => index + 1))(
      `lose no row and no try, and repeat little, after ${kills} kills (%d of ${sideBySide})`,
      { timeout: kills * 60_000 },
      async () => {
        const seed = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
        const random = randomFrom(seed)
        const seen = `SLUICE_TEST_SEED=${seed}`
        await using api = await startScriptedApi()
        const failsLeft = new Map<string, number>()
        let failed = 0
        api.on({}, ({ url }) => {
          const left = failsLeft.get(url) ?? random.pick([0, 0, 0, 1, 2, 3])
          failsLeft.set(url, Math.max(0, left - 1))
          if (left === 0) return {}
          failed += 1
          return { status: random.pick([500, 422]) }
        })
        const destination = `limits: { rate: { requests: 300, per: second }, concurrency: ${CONCURRENCY} }`
        const sync = { destination, sync: TRIES, triggers: `\n  added: { ${ADDED} }` }
        const files = { 'project.yaml': peopleYaml(sync), 'people.csv': manyPeople(TRIED_ROWS) }
        await using project = await projectFolder({ files, env: { API_URL: api.url } })
        for (let kill = 1; kill <= kills; kill += 1) {
          await killWhileItSends(project, api, random.below(KILLED_WITHIN_MS))
        }
        expect(await project.run(SYNC), seen).toMatchObject({ exitCode: 0, view: { status: 'success' } })
        expect(new Set(api.requests.map(({ url }) => url)).size, seen).toBe(TRIED_ROWS)
        const repeats = api.requests.length - failed - TRIED_ROWS
        process.stderr.write(
          `${kills} kills, ${failed} failed tries, ${repeats} requests repeated (${seen})\n`,
        )
        expect(repeats, seen).toBeLessThanOrEqual(kills * REPEATABLE)
        // No row was left to a later run for want of tries. Those of a run that was killed while it was
        // published, which has failed, were not tried at all.
        for (const { triggers, status } of await project.runs()) {
          if (status !== 'success' && status !== 'failed') continue
          const { detected = 0, delivered = 0, rejected = 0, unknown = 0, unsent = 0 } = triggers.added ?? {}
          const untried = status === 'failed' ? unsent : 0
          expect([delivered + untried, rejected, unknown], seen).toEqual([detected, 0, 0])
        }
        const sent = api.requests.length
        expect(await project.run(SYNC), seen).toMatchObject({
          view: { triggers: { added: { detected: 0 } } },
        })
        expect(api.requests.length, seen).toBe(sent)
      },
    )
  })
}

/**
 * Starts a run, and kills its process this long after it has sent ten requests of published changes, if it
 * has not ended by itself. Sooner kills find no row rendered, or one request on its way alone. Three of them
 * give that up (PROTOCOL.md §11). A run that is killed while it is published fails, and the next one sends
 * its rows in other batches, under other keys.
 */
export async function killWhileItSends(
  project: ProjectFolder,
  api: ScriptedApi,
  afterMs: number,
): Promise<void> {
  const before = api.requests.length
  const child = project.start('run', SYNC)
  const closed = once(child, 'close')
  await Promise.race([api.waitFor(before + SENT_FIRST), closed])
  await Promise.race([published(project), closed])
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
  await closed
  clearTimeout(timer)
}

/** Resolves once the last run has published all its changes. */
async function published(project: ProjectFolder): Promise<void> {
  await vi.waitFor(
    async () => {
      const [last] = await project.runs()
      expect(last?.phases).toContainEqual(
        expect.objectContaining({ phase: 'publishing', endedAt: expect.any(String) }),
      )
    },
    { timeout: 60_000, interval: 200 },
  )
}

/** Kills the process once the API has read that many requests. */
async function killAfter(project: ProjectFolder, api: ScriptedApi, requests: number): Promise<void> {
  const child = project.start('run', SYNC)
  const closed = once(child, 'close')
  const ended = closed.then(([code]) =>
    Promise.reject(new Error(`the run ended by itself, with ${String(code)}`)),
  )
  await Promise.race([api.waitFor(requests), ended])
  ended.catch(() => undefined)
  child.kill('SIGKILL')
  await closed
}

function assertDelivered(requests: readonly RecordedRequest[], repeatable: number, seen: string): void {
  const keys = new Map<string, Set<string>>()
  for (const { url, headers } of requests) {
    const known = keys.get(url) ?? new Set()
    known.add(headers['idempotency-key'] ?? 'none')
    keys.set(url, known)
  }
  expect(keys.size, seen).toBe(ROWS)
  const repeats = requests.length - ROWS
  expect(repeats, seen).toBeLessThanOrEqual(repeatable)
  for (const [url, used] of keys) expect([...used], `${seen}: keys of ${url}`).toHaveLength(1)
}

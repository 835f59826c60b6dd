/**
 * A run that its user interrupts. It ends cleanly, its counts add up (R14), and the next run sends exactly
 * the remaining rows.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const ROWS = 2000
const CONCURRENCY = 20
const LIMITS = `limits: { rate: { requests: 2000, per: second }, concurrency: ${CONCURRENCY} }`
/** A query that takes long enough to be interrupted, and gives no row before its end. */
const SLOW_SQL = `select id, name from 'people.csv', (select sum(a.range * b.range) as s from range(1000000) a, range(1000000) b) where s > 0`

export interface Interrupts {
  readonly signals: readonly NodeJS.Signals[]
  /** True: a second interrupt is tried, too. */
  readonly twice: boolean
}

/** The time-out is short, since the run after a second signal waits for it, and 2 s more (PROTOCOL.md §8). */
const PROJECT = peopleYaml({ destination: LIMITS, sync: 'timeout: 10s' })

function interruptedRunSuite({ signals, twice }: Interrupts): void {
  describe('a run interrupted', () => {
    let api: ScriptedApi
    let project: ProjectFolder

    beforeEach(async () => {
      api = await startScriptedApi()
      project = await projectFolder({
        files: { 'project.yaml': PROJECT, 'people.csv': manyPeople(ROWS) },
        env: { API_URL: api.url },
      })
    })
    afterEach(async () => {
      await project[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    it.each(signals)(
      'by %s in the middle of its requests is cancelled, and the next run sends exactly the rest',
      async signal => {
        const child = project.start('run', SYNC, '--json')
        const ending = finished(child)
        await api.waitFor(ROWS / 4)
        child.kill(signal)
        const { exitCode, stdout } = await ending
        const view: RunView = JSON.parse(stdout)
        expect(exitCode).toBe(130)
        expect(view).toMatchObject({ status: 'cancelled', error: null, rowsRead: ROWS })
        const { added } = view.triggers
        expect(added).toMatchObject({ detected: ROWS, rejected: 0, unknown: 0 })
        expect((added?.delivered ?? 0) + (added?.unsent ?? 0)).toBe(ROWS)
        expect(added?.delivered).toBe(api.requests.length)
        expect(added?.unsent).toBeGreaterThan(0)
        expect(await project.runs()).toMatchObject([{ id: view.id, status: 'cancelled' }])

        const next = await project.run(SYNC)
        expect(next).toMatchObject({ exitCode: 0, view: { status: 'success' } })
        expect(next.view.triggers.added).toMatchObject({
          detected: added?.unsent,
          delivered: added?.unsent,
          requests: added?.unsent,
        })
        expectEachOnce(api)
        expect(await project.failed(SYNC)).toEqual([])
      },
    )

    it.each(signals)(
      'by %s while its model is read is cancelled at once, and nothing is sent',
      async signal => {
        await project.write('people.csv', manyPeople(3))
        await project.write('project.yaml', peopleYaml({ sql: SLOW_SQL }))
        const child = project.start('run', SYNC)
        const ending = finished(child)
        await saidOnStderr(child, new RegExp(`^run \\w{26} of ${SYNC}`, 'm'))
        child.kill(signal)
        expect(await ending).toMatchObject({ exitCode: 130 })
        expect(api.requests).toHaveLength(0)
        expect(await project.runs()).toMatchObject([{ status: 'cancelled', error: null, rowsRead: 0 }])
        await project.write('project.yaml', peopleYaml())
        const next = await project.run(SYNC)
        expect(next).toMatchObject({ exitCode: 0, view: { triggers: { added: { delivered: 3 } } } })
        expect(api.requests).toHaveLength(3)
      },
    )

    if (!twice) return

    it('twice ends at once, and the next run completes the cut one', async () => {
      const held: (() => void)[] = []
      const child = project.start('run', SYNC)
      const ending = finished(child)
      await api.waitFor(ROWS / 4)
      // From here on the API does not answer, so that after only one interrupt the command would wait for it.
      api.on({}, () => new Promise(resolve => held.push(() => resolve({}))))
      const before = api.requests.length
      await api.waitFor(requests => requests.length >= before + CONCURRENCY)
      // After the first interrupt the run ends in good order, which takes as long as the API. After the
      // second the process ends at once.
      do child.kill('SIGINT')
      while (!(await endsWithin(500, ending)))
      expect(await ending).toMatchObject({ exitCode: 130 })
      expect(held.length).toBeGreaterThanOrEqual(CONCURRENCY)
      for (const release of held) release()
      api.on({}, {})
      const sent = api.requests.length

      const next = await project.run(SYNC)
      expect(next).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      const urls = new Set(api.requests.map(({ url }) => url))
      expect(urls.size).toBe(ROWS)
      // The requests under way are sent again, with the same idempotency key.
      expect(api.requests.length - ROWS).toBeLessThanOrEqual(2 * CONCURRENCY)
      for (const request of api.requests.slice(sent)) {
        const earlier = api.requests.slice(0, sent).find(({ url }) => url === request.url)
        if (earlier === undefined) continue
        expect(request.headers['idempotency-key']).toBe(earlier.headers['idempotency-key'])
      }
      const [, cut] = await project.runs()
      expect(cut).toMatchObject({ status: expect.stringMatching(/^(cancelled|failed)$/) })
    })
  })
}

async function endsWithin(ms: number, ending: Promise<unknown>): Promise<boolean> {
  const done = new AbortController()
  const waited = setTimeout(ms, false, { signal: done.signal }).catch(() => true)
  return Promise.race([ending.then(() => true), waited]).finally(() => done.abort())
}

function expectEachOnce(api: ScriptedApi): void {
  expect(new Set(api.requests.map(({ url }) => url)).size).toBe(ROWS)
  expect(api.requests).toHaveLength(ROWS)
}

/** Resolves once the command has written a matching text to stderr. */
async function saidOnStderr(child: ChildProcess, text: RegExp): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk: string) => (said += chunk))
  while (!text.test(said)) await once(child.stderr ?? child, 'data')
}

interruptedRunSuite({ signals: ['SIGTERM', 'SIGINT'], twice: true })

/**
 * Replays: recorded requests are sent again as they were, and the next run makes destination and model equal.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ReplayView, RunView } from '@sluice/contracts/api'
import { startScriptedApi, type RecordedRequest, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { embeddedProfile, type Opened, type Profile } from './profiles.ts'

const KEY_HEADER = 'idempotency-key'

function replaySuite(profile: Profile): void {
  describe(`a replay, ${profile.name}`, () => {
    let api: ScriptedApi
    let opened: Opened
    let runs: RunView[]

    /** Person 1 is added and changed, 2 added, 3 added and removed. */
    beforeEach(async ({ onTestFailed }) => {
      api = await startScriptedApi()
      const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ada', '2,Bob', '3,Cyd') }
      opened = await profile.open({ files, env: { API_URL: api.url }, here: true })
      onTestFailed(() => void process.stderr.write(opened.logs()))
      const { view: first } = await opened.project.run(SYNC)
      await opened.project.write('people.csv', peopleCsv('1,Ada L', '2,Bob'))
      const { view: second } = await opened.project.run(SYNC)
      runs = [first, second]
    })
    afterEach(async () => {
      await opened[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })

    const dryRun = async (...args: readonly string[]): Promise<ReplayView> => {
      const { stdout, stderr } = await opened.project.sluice('replay', SYNC, ...args, '--dry-run', '--json')
      expect(stderr).toBe('')
      const view: ReplayView = JSON.parse(stdout)
      return view
    }
    const replay = async (...args: readonly string[]): Promise<RunView> => {
      const { stdout, stderr } = await opened.project.sluice('replay', SYNC, ...args, '--yes', '--json')
      expect(stdout, stderr).not.toBe('')
      const view: RunView = JSON.parse(stdout)
      return view
    }
    const since = (before: number): readonly string[] => api.requests.slice(before).map(shortly)

    it('shows what it would send, and sends nothing', async () => {
      const before = api.requests.length
      const view = await dryRun('--key', '1', '--key', '3')
      expect(view).toMatchObject({
        sync: SYNC,
        ...{ requests: 4, rows: 4, notRecorded: { runs: 0, requests: 0 }, notices: [] },
        triggers: {
          added: { requests: 2, rows: 2 },
          changed: { requests: 1, rows: 1 },
          removed: { requests: 1, rows: 1 },
        },
      })
      expect(view.first.map(({ run, method, path }) => [run, method, path]).slice(0, 2)).toEqual(
        ['/people/1', '/people/3'].map(path => [runs[0]?.id, 'PUT', path]),
      )
      const { stdout } = await opened.project.sluice('replay', SYNC, '--run', runs[1]?.id ?? '', '--dry-run')
      expect(stdout).toContain('2 recorded requests of `people`, with 2 rows:')
      expect(api.requests).toHaveLength(before)
      expect(await opened.project.runs()).toHaveLength(2)

      expect(await dryRun('--since', '1h', '--trigger', 'changed')).toMatchObject({ requests: 1 })
      expect(await dryRun('--since', '1h', '--until', '30m')).toMatchObject({ requests: 0 })
      expect(await dryRun('--since', '1h', '--outcome', 'rejected')).toMatchObject({ requests: 0 })
      expect(await dryRun('--since', '1h', '--status', '200')).toMatchObject({ requests: 5 })
      expect(await opened.project.error('replay', SYNC, '--dry-run')).toMatchObject({ code: 'usage' })
      expect(await opened.project.error('replay', SYNC, '--key', '1')).toMatchObject({ code: 'usage' })
      expect(await opened.project.error('replay', SYNC, '--run', 'NONE', '--dry-run')).toMatchObject({
        code: 'not-found',
      })
    })

    it('sends the requests again in the order of each key, and the next run mends what they changed', async () => {
      const { project } = opened
      const recorded = [...api.requests]
      const view = await replay('--key', '1', '--key', '3')
      expect(view).toMatchObject({
        ...{ status: 'success', cause: 'replay' },
        triggers: {
          added: { detected: 2, delivered: 2, requests: 2, attempts: 2 },
          changed: { detected: 1, delivered: 1 },
          removed: { detected: 1, delivered: 1 },
        },
      })
      const sent = since(recorded.length)
      for (const id of ['1', '3']) expect(ofRow(sent, id)).toEqual(ofRow(recorded.map(shortly), id))
      const keys = api.requests.map(({ headers }) => headers[KEY_HEADER])
      expect(new Set(keys).size).toBe(keys.length)
      expect(await project.failed(SYNC)).toEqual([])

      // A request that was replayed is not replayed again.
      expect(await dryRun('--key', '1')).toMatchObject({ requests: 2 })

      const before = api.requests.length
      const { view: next } = await project.run(SYNC)
      expect(next).toMatchObject({
        status: 'success',
        triggers: { added: { detected: 0 }, changed: { delivered: 1 }, removed: { delivered: 1 } },
      })
      expect(since(before).toSorted()).toEqual(['DELETE /people/3 ', 'PUT /people/1 {"name":"Ada L"}'])
      const { view: last } = await project.run(SYNC)
      expect(last.triggers).toMatchObject({ changed: { detected: 0 }, removed: { detected: 0 } })
    })

    it('sends nothing under a key that the API may know, though a run before had repeated one', async () => {
      const { project } = opened
      await project.write('people.csv', peopleCsv('1,Ada L', '2,Bob', '4,Dan'))
      api.on({ url: '/people/4' }, { fault: 'reset-after-reading' }, { times: 1 })
      await project.run(SYNC)
      await project.run(SYNC)
      const keys = (): readonly string[] =>
        api.requests.filter(({ url }) => url.endsWith('/4')).map(({ headers }) => headers[KEY_HEADER] ?? '')
      expect([keys().length, new Set(keys()).size]).toEqual([2, 1])
      expect(await replay('--key', '4')).toMatchObject({ triggers: { added: { delivered: 2 } } })
      expect([keys().length, new Set(keys()).size]).toEqual([4, 3])
    })

    it('leaves no row as delivered that the API has otherwise, if it fails', async () => {
      const { project } = opened
      api.on({ url: '/people/2' }, { status: 422 })
      expect(await replay('--run', runs[0]?.id ?? '')).toMatchObject({
        status: 'warning',
        triggers: { added: { detected: 3, delivered: 2, rejected: 1 } },
      })
      expect(await project.failed(SYNC)).toEqual([])
      const { view } = await project.run(SYNC)
      expect(view.triggers).toMatchObject({
        ...{ added: { detected: 0 }, changed: { detected: 2, delivered: 1, rejected: 1 } },
        removed: { detected: 1, delivered: 1 },
      })
    })
  })
}

function shortly({ method, url, body }: RecordedRequest): string {
  return `${method} ${url} ${body}`
}

function ofRow(requests: readonly string[], id: string): readonly string[] {
  return requests.filter(request => request.includes(`/people/${id} `))
}

replaySuite(embeddedProfile)

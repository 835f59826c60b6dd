/**
 * What control promises, wherever the syncs run. The harness gives it one sync, `people`, whose rows have an
 * id and go to `PUT /people/ID`; a row that is gone goes to `DELETE /people/ID`.
 */
import type { ReplayScope } from '@sluice/contracts/state'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Control, Following, PreviewQuery } from '../src/port.ts'

export interface ControlHarness extends AsyncDisposable {
  readonly control: Control
  setRows(...ids: readonly number[]): Promise<void>
}

const { signal } = new AbortController()
const ALL = { limit: 50, after: undefined }
const FAILED = { sync: 'people', run: undefined, key: undefined, status: undefined, ...ALL }
const PREVIEW: PreviewQuery = { sync: 'people', op: undefined, key: undefined, rows: undefined }

export function controlContract(name: string, open: (apiUrl: string) => Promise<ControlHarness>): void {
  describe(`control of ${name}`, () => {
    let api: ScriptedApi
    let harness: ControlHarness
    beforeEach(async () => {
      api = await startScriptedApi()
      harness = await open(api.url)
      await harness.setRows(1, 2)
    })
    afterEach(async () => {
      await harness[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    })
    const following = (of: Partial<Following> = {}): Following => ({
      onProgress: () => undefined,
      cancel: signal,
      ...of,
    })

    it('has the alerts of the project, and tells none that it does not have', async () => {
      const { control } = harness
      expect(await control.alerts(signal)).toEqual({ alerts: [] })
      await expect(control.testAlert('team', signal)).rejects.toMatchObject({ code: 'not-found' })
    })

    it('runs a sync, and tells what became of it as often as somebody asks', async () => {
      const { control } = harness
      api.on({ url: '/people/2' }, { status: 422 })
      const seen: string[] = []
      const { view } = await control.askForRun(
        { sync: 'people' },
        following({ onProgress: ({ id }) => seen.push(id) }),
      )
      expect(view).toMatchObject({ status: 'warning', cause: 'manual', rowsRead: 2 })
      expect(new Set(seen)).toEqual(new Set([view.id]))
      const errors = [{ outcome: 'rejected', status: 422, error: 'HTTP 422: {}', key: '2', count: 1 }]
      expect(await control.run(view.id, signal)).toEqual({ ...view, errors })
      expect(await control.runs({ sync: 'people', ...ALL }, signal)).toEqual({ runs: [view], next: null })
      const states: RunView[] = []
      for await (const state of control.follow(view.id, signal)) states.push(state)
      expect(states).toEqual([view])

      const { attempts, next } = await control.attempts({ ...ALL, limit: 1 }, signal)
      const rest = await control.attempts({ ...ALL, after: next ?? 'nothing' }, signal)
      expect([...attempts, ...rest.attempts].map(({ keys }) => keys.join()).sort()).toEqual(['1', '2'])
      const refused = await control.attempts({ ...ALL, status: '422', since: 0 }, signal)
      expect(refused.attempts.map(({ keys, outcome }) => [keys, outcome])).toEqual([[['2'], 'rejected']])
      const filters = {
        sync: 'people',
        run: view.id,
        key: '2',
        trigger: 'added',
        outcome: 'rejected',
      } as const
      const same = { ...ALL, ...filters, status: '4xx', until: Date.now() + 1, search: 'http 422' }
      expect(await control.attempts(same, signal)).toEqual(refused)
      expect((await control.attempts({ ...same, search: 'no such text' }, signal)).attempts).toEqual([])
      const [delivered, rejected] = await Promise.all(
        ['1', '2'].map(key => control.row({ sync: 'people', key }, signal)),
      )
      expect(delivered).toMatchObject({
        state: { is: 'present', certain: true, row: { id: 1 } },
        retry: null,
      })
      expect(delivered?.changes).toMatchObject([
        { op: 'added', run: view.id, before: null, after: { id: 1 } },
      ])
      expect(rejected).toMatchObject({ state: { is: 'absent', certain: true, row: null }, muted: false })
      expect(rejected?.retry).toMatchObject({ outcome: 'rejected', status: 422 })
      expect(rejected?.attempts).toEqual(refused.attempts)
      const unknown = control.row({ sync: 'people', key: '3' }, signal)
      await expect(unknown).rejects.toMatchObject({ code: 'not-found' })
      const figures = await control.figures(view.id, 10, signal)
      expect(figures).toMatchObject({ run: view.id, attempts: 2, outcomes: { delivered: 1, rejected: 1 } })
      const since = Date.parse(view.startedAt ?? '') + 60_000
      for (const none of [
        { status: 'held' },
        { cause: 'retry' },
        { since },
        { until: since - 600_000 },
      ] as const)
        expect((await control.runs({ sync: 'people', ...ALL, ...none }, signal)).runs).toEqual([])
      const asked = { status: 'warning', cause: 'manual', since: since - 600_000, until: since } as const
      expect((await control.runs({ sync: 'people', ...ALL, ...asked }, signal)).runs).toEqual([view])
      const [short] = (await control.attempts({ ...same, details: false }, signal)).attempts
      const none = { requestHeaders: {}, requestBody: null, responseHeaders: {}, responseBody: null }
      expect(short).toEqual({ ...refused.attempts[0], ...none })
      const { requestId = '' } = short ?? {}
      const request = await control.request(requestId, signal)
      expect(request).toMatchObject({ requestId, run: view.id, request: { path: '/people/2' } })
      expect(request.attempts).toMatchObject(refused.attempts)
      const failed = await control.failed(FAILED, signal)
      expect(failed).toMatchObject({ rows: [{ key: '2', status: 422 }], groups: errors })
      expect((await control.failed({ ...FAILED, key: '1' }, signal)).rows).toEqual([])
      expect(await control.syncs(ALL, signal)).toMatchObject({
        syncs: [{ name: 'people', lastRun: { id: view.id } }],
        next: null,
      })
      const audited = (await control.audit({ ...ALL, name: 'people' }, signal)).entries
      expect(audited.find(({ action }) => action === 'run')).toMatchObject({ kind: 'sync', run: view.id })
      const { destinations } = await control.destinations(ALL, signal)
      expect(destinations).toMatchObject([{ concurrency: { limit: 100 } }])
      expect(destinations[0]?.concurrency.inUse ?? 0).toBe(0)
      const { resources } = await control.resources(ALL, signal)
      expect(resources.map(({ kind }) => kind)).toEqual(['destination', 'model', 'source', 'sync'])

      const again = { sync: 'people', cause: 'retry', scope: { as: null, key: '2', status: null } } as const
      expect((await control.askForRun(again, following())).view).toMatchObject({ cause: 'retry' })
      expect((await control.reset('people', following())).view).toMatchObject({ cause: 'reset' })
      expect((await control.failed(FAILED, signal)).rows).toEqual([])
    })

    it('sends recorded requests again, and tells before which', async () => {
      const { control } = harness
      const { view: first } = await control.askForRun({ sync: 'people' }, following())
      const none = { run: null, since: null, until: null, status: null, outcome: null, trigger: null }
      const replay: ReplayScope = { ...none, keys: ['2', '3'], since: 0 }
      const before = api.requests.length
      expect(await control.replayable({ sync: 'people', scope: replay }, signal)).toEqual({
        ...{ sync: 'people', requests: 1, rows: 1, triggers: { added: { requests: 1, rows: 1 } } },
        first: [
          {
            ...{ requestId: expect.stringContaining(first.id), run: first.id, trigger: 'added' },
            ...{ method: 'PUT', path: '/people/2', keys: ['2'] },
          },
        ],
        ...{ notRecorded: { runs: 0, requests: 0 }, notices: [] },
      })
      expect(api.requests).toHaveLength(before)
      const again = {
        sync: 'people',
        cause: 'replay',
        scope: { as: null, key: null, status: null, replay },
      } as const
      const { view } = await control.askForRun(again, following())
      expect(view).toMatchObject({ cause: 'replay', triggers: { added: { detected: 1, delivered: 1 } } })
      expect(api.requests.slice(before).map(({ url }) => url)).toEqual(['/people/2'])
      const gone = { sync: 'people', scope: { ...replay, keys: null, run: 'NONE' } }
      await expect(control.replayable(gone, signal)).rejects.toMatchObject({ code: 'not-found' })
      await expect(control.replayable({ ...gone, sync: 'nobody' }, signal)).rejects.toMatchObject({
        code: 'not-found',
      })
    })

    it('previews what a run would send, and sends nothing', async () => {
      const { control } = harness
      await control.askForRun({ sync: 'people' }, following())
      await harness.setRows(1, 3)
      const before = api.requests.length
      await using preview = await control.preview(PREVIEW, signal)
      expect(preview).toMatchObject({ counts: { added: 1, changed: 0, removed: 1 }, rowsRead: 2 })
      const sent: string[] = []
      for await (const each of preview.requests) if (each.kind === 'request') sent.push(each.keys.join())
      expect(sent.sort()).toEqual(['2', '3'])
      await using removed = await control.preview({ ...PREVIEW, op: 'removed', key: '2' }, signal)
      const methods: string[] = []
      for await (const each of removed.requests) if (each.kind === 'request') methods.push(each.method)
      expect(methods).toEqual(['DELETE'])
      expect(api.requests).toHaveLength(before)
      await expect(control.preview({ ...PREVIEW, op: 'changed' }, signal)).rejects.toMatchObject({
        code: 'usage',
      })
    })

    it('sends a request of one row as a test, which changes nothing but what was sent', async () => {
      const { control } = harness
      const sent = await control.sendTest({ sync: 'people', op: 'added', key: '2' }, signal)
      expect(sent).toMatchObject({
        trigger: 'added',
        keys: ['2'],
        status: 200,
        outcome: 'delivered',
        test: true,
      })
      const removed = await control.sendTest({ sync: 'people', op: 'removed', key: '1' }, signal)
      expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'PUT /people/2',
        'DELETE /people/1',
      ])
      const [first, second] = api.requests.map(({ headers }) => headers['idempotency-key'])
      expect(first).toMatch(/./)
      expect(second).not.toBe(first)
      expect((await control.attempts(ALL, signal)).attempts).toEqual([removed, sent])
      expect((await control.attempts({ ...ALL, run: sent.run }, signal)).attempts).toEqual([sent])
      expect((await control.runs({ sync: 'people', ...ALL }, signal)).runs).toEqual([])
      api.on({ url: '/people/1' }, { status: 422, body: 'no' })
      const refused = await control.sendTest({ sync: 'people', op: 'added', key: '1' }, signal)
      expect(refused).toMatchObject({ status: 422, outcome: 'rejected', responseBody: 'no' })
      expect((await control.failed(FAILED, signal)).rows).toEqual([])
      api.reset()
      const { view } = await control.askForRun({ sync: 'people' }, following())
      expect(view.triggers.added).toMatchObject({ detected: 2, delivered: 2, attempts: 2 })
      const page = await control.attempts({ ...ALL, limit: 3 }, signal)
      const rest = await control.attempts({ ...ALL, limit: 3, after: page.next ?? '' }, signal)
      const all = [...page.attempts, ...rest.attempts]
      expect(all.map(({ test = false }) => test)).toEqual([false, false, true, true, true])

      const missing = { sync: 'people', op: 'added', key: 'x' } as const
      await expect(control.sendTest(missing, signal)).rejects.toMatchObject({ code: 'not-found' })
      const without = { sync: 'people', op: 'changed', key: '1' } as const
      await expect(control.sendTest(without, signal)).rejects.toMatchObject({ code: 'usage' })
    })

    it('ends a run in good order when the one who asked for it says so', async () => {
      const { control } = harness
      const gate = Promise.withResolvers<object>()
      api.on({}, () => gate.promise)
      const cancel = new AbortController()
      const run = control.askForRun({ sync: 'people' }, following({ cancel: cancel.signal }))
      await api.waitFor(api.requests.length + 2)
      cancel.abort(new Error('the test cancels'))
      gate.resolve({})
      const { view } = await run
      // Both requests were on their way, so they were finished.
      expect(['cancelled', 'success']).toContain(view.status)
      expect(view.triggers.added).toMatchObject({ detected: 2, delivered: 2 })
      await expect(control.cancel(view.id, following())).rejects.toMatchObject({ code: 'usage' })
      await expect(control.approve({ run: view.id }, following())).rejects.toMatchObject({ code: 'usage' })
    })

    it('keeps secrets, and gives no value', async () => {
      const { control } = harness
      expect(await control.secrets(signal)).toEqual({ secrets: [] })
      const to = { name: 'CRM_key', value: 'the-first-value', grants: 'api.example.com' }
      const view = { name: 'crm-key', for: to.grants }
      expect(await control.setSecret(to, signal)).toEqual({ ...view, replaced: false })
      const again = ['one-of-two-at-once', 'two-of-two-at-once'].map(value =>
        control.setSecret({ name: 'crm-key', value }, signal),
      )
      for (const set of await Promise.all(again)) expect(set).toEqual({ ...view, replaced: true })
      const bare = { name: 'b', value: '"\\\n\u{1F511}', grants: null }
      expect(await control.setSecret(bare, signal)).toEqual({ name: 'b', for: null, replaced: false })
      const { secrets } = await control.secrets(signal)
      expect(secrets).toMatchObject([{ kind: 'secret', name: 'b', for: null }, view])
      expect(JSON.stringify(secrets)).not.toMatch(/value|at-once/)
      expect(await control.resealSecrets(signal)).toEqual({ resealed: 0 })
      for (const wrong of [{ grants: 'https://x/' }, { name: 'a/b' }, { value: 'x'.repeat(10_000_001) }]) {
        const refused = control.setSecret({ name: 'c', value: 'the-refused-value', ...wrong }, signal)
        await expect(refused).rejects.toMatchObject({ code: 'config' })
        await expect(refused).rejects.not.toThrow(/the-refused-value|xxx/)
      }
      const removed = { kind: 'secret', name: 'Crm_Key' } as const
      expect(await control.removeSecret(removed, signal)).toEqual({ removed: 'crm-key' })
      await expect(control.removeSecret(removed, signal)).rejects.toMatchObject({ code: 'not-found' })
      const login = { kind: 'login', name: 'b' } as const
      await expect(control.removeSecret(login, signal)).rejects.toMatchObject({ code: 'not-found' })
      expect((await control.secrets(signal)).secrets.map(({ name: kept }) => kept)).toEqual(['b'])
    })

    it('names what does not exist', async () => {
      const { control } = harness
      await control.askForRun({ sync: 'people' }, following())
      const missing = { code: 'not-found' }
      await expect(control.askForRun({ sync: 'poeple' }, following())).rejects.toMatchObject({
        ...missing,
        message: expect.stringContaining('did you mean `people`?'),
      })
      await expect(control.cancel('NONE', following())).rejects.toMatchObject(missing)
      await expect(control.run('NONE', signal)).rejects.toMatchObject(missing)
      await expect(control.follow('NONE', signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject(
        missing,
      )
      await expect(control.runs({ sync: 'none', ...ALL }, signal)).rejects.toMatchObject(missing)
      await expect(control.attempts({ ...ALL, run: 'NONE' }, signal)).rejects.toMatchObject(missing)
      await expect(control.failed({ ...FAILED, sync: 'none' }, signal)).rejects.toMatchObject(missing)
      await expect(control.preview({ ...PREVIEW, sync: 'none' }, signal)).rejects.toMatchObject(missing)
      const cursor = { ...ALL, after: 'x' }
      await expect(control.runs({ sync: undefined, ...cursor }, signal)).rejects.toMatchObject({
        code: 'usage',
      })
      await expect(control.failed({ ...FAILED, ...cursor }, signal)).rejects.toMatchObject({ code: 'usage' })
    })
  })
}

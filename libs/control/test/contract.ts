/**
 * The promises of control, wherever the syncs run. The harness gives it one sync, `people`, whose rows have
 * an id and go to `PUT /people/ID`; a row that is gone goes to `DELETE /people/ID`.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Calling, Control, Following } from '../src/port.ts'

export interface ControlHarness extends AsyncDisposable {
  readonly control: Control
  setRows(...ids: readonly number[]): Promise<void>
}

const { signal } = new AbortController()
const iso = (ms: number): string => new Date(ms).toISOString()
const calling: Calling = { signal }
const ALL = { limit: 50 }
const PEOPLE = { name: 'people' }
const FAILED = { ...PEOPLE, ...ALL }
const PREVIEW = { sync: 'people' }

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
      expect(await control.call('listAlerts', {}, calling)).toEqual({ alerts: [] })
      await expect(control.call('testAlert', { name: 'team' }, calling)).rejects.toMatchObject({
        code: 'not-found',
      })
    })

    it('runs a sync, and tells what became of it as often as somebody asks', async () => {
      const { control } = harness
      api.on({ url: '/people/2' }, { status: 422 })
      const seen: string[] = []
      const { view } = await control.ask(
        'run',
        { name: 'people' },
        following({ onProgress: ({ id }) => seen.push(id) }),
      )
      expect(view).toMatchObject({ status: 'warning', cause: 'manual', rowsRead: 2 })
      expect(new Set(seen)).toEqual(new Set([view.id]))
      const id = expect.stringMatching(/^[0-9a-f]{12}[.]\d{13}-1$/)
      const errors = [{ id, outcome: 'rejected', status: 422, error: 'HTTP 422: {}', key: '2', count: 1 }]
      expect(await control.call('getRun', { id: view.id }, calling)).toEqual({ ...view, errors })
      // A list leaves out the reasons of failed rows, but for the first.
      const { errors: _, ...listed } = view
      expect(await control.call('listRuns', { sync: 'people', ...ALL }, calling)).toEqual({
        runs: [listed],
        next: null,
      })
      const states: RunView[] = []
      for await (const state of control.follow(view.id, signal)) states.push(state)
      expect(states).toEqual([view])

      const { attempts, next } = await control.call('listAttempts', { ...ALL, limit: 1 }, calling)
      const rest = await control.call('listAttempts', { ...ALL, after: next ?? 'nothing' }, calling)
      expect([...attempts, ...rest.attempts].map(({ keys }) => keys.join()).sort()).toEqual(['1', '2'])
      const refused = await control.call('listAttempts', { ...ALL, status: '422', since: iso(0) }, calling)
      expect(refused.attempts.map(({ keys, outcome }) => [keys, outcome])).toEqual([[['2'], 'rejected']])
      const filters = {
        sync: 'people',
        run: view.id,
        key: '2',
        trigger: 'added',
        outcome: 'rejected',
      } as const
      const same = { ...ALL, ...filters, status: '4xx', until: iso(Date.now() + 1), q: 'http 422' }
      expect(await control.call('listAttempts', same, calling)).toEqual(refused)
      expect((await control.call('listAttempts', { ...same, q: 'no such text' }, calling)).attempts).toEqual(
        [],
      )
      const [delivered, rejected] = await Promise.all(
        ['1', '2'].map(key => control.call('getRow', { ...PEOPLE, key }, calling)),
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
      const unknown = control.call('getRow', { ...PEOPLE, key: '3' }, calling)
      await expect(unknown).rejects.toMatchObject({ code: 'not-found' })
      const figures = await control.call('getRunFigures', { id: view.id, buckets: 10 }, calling)
      expect(figures).toMatchObject({ run: view.id, attempts: 2, outcomes: { delivered: 1, rejected: 1 } })
      const answers = await control.call('getRunAnswers', { id: view.id }, calling)
      expect(answers).toMatchObject({
        ...{ run: view.id, isWhole: true, errors: [{ status: 422, attempts: 1 }] },
        statuses: [{ attempts: 1 }, { status: 422, attempts: 1 }],
      })
      const columns = { ...PEOPLE, ...ALL, columns: true }
      const { rows, groups = [] } = await control.call('listFailedRows', columns, calling)
      expect(rows).toMatchObject([{ key: '2', row: { id: 2 } }])
      const [group] = groups
      const inGroup = async (id: string | undefined) =>
        (await control.call('listFailedRows', { ...PEOPLE, ...ALL, group: id }, calling)).rows.map(
          ({ key }) => key,
        )
      expect(await inGroup(group?.id)).toEqual(['2'])
      expect(await inGroup('000000000000.1-9')).toEqual([])
      const since = Date.parse(view.startedAt ?? '') + 60_000
      for (const none of [
        { status: 'held' },
        { cause: 'retry' },
        { since: iso(since) },
        { until: iso(since - 600_000) },
      ] as const)
        expect((await control.call('listRuns', { sync: 'people', ...ALL, ...none }, calling)).runs).toEqual(
          [],
        )
      const asked = {
        status: 'warning',
        cause: 'manual',
        since: iso(since - 600_000),
        until: iso(since),
      } as const
      expect((await control.call('listRuns', { sync: 'people', ...ALL, ...asked }, calling)).runs).toEqual([
        listed,
      ])
      const [short] = (await control.call('listAttempts', { ...same, details: false }, calling)).attempts
      const none = { requestHeaders: {}, requestBody: null, responseHeaders: {}, responseBody: null }
      expect(short).toEqual({ ...refused.attempts[0], ...none })
      const { requestId = '' } = short ?? {}
      const request = await control.call('getRequest', { requestId }, calling)
      expect(request).toMatchObject({ requestId, run: view.id, request: { path: '/people/2' } })
      expect(request.attempts).toMatchObject(refused.attempts)
      const failed = await control.call('listFailedRows', FAILED, calling)
      expect(failed).toMatchObject({ rows: [{ key: '2', status: 422 }], groups: errors })
      expect((await control.call('listFailedRows', { ...FAILED, key: '1' }, calling)).rows).toEqual([])
      expect(await control.call('listSyncs', ALL, calling)).toMatchObject({
        syncs: [{ name: 'people', lastRun: { id: view.id } }],
        next: null,
      })
      const audited = (await control.call('listAudit', { ...ALL, name: 'people' }, calling)).entries
      expect(audited.find(({ action }) => action === 'run')).toMatchObject({ kind: 'sync', run: view.id })
      const { destinations } = await control.call('listDestinations', ALL, calling)
      expect(destinations).toMatchObject([{ concurrency: { limit: 100 } }])
      expect(destinations[0]?.concurrency.inUse ?? 0).toBe(0)
      const { resources } = await control.call('listResources', ALL, calling)
      expect(resources.map(({ kind }) => kind)).toEqual(['destination', 'model', 'source', 'sync'])

      const again = await control.ask('retry', { ...PEOPLE, key: '2' }, following())
      expect(again.view).toMatchObject({ cause: 'retry' })
      expect((await control.ask('reset', PEOPLE, following())).view).toMatchObject({ cause: 'reset' })
      expect((await control.call('listFailedRows', FAILED, calling)).rows).toEqual([])
    })

    it('sends recorded requests again, and tells before which', async () => {
      const { control } = harness
      const { view: first } = await control.ask('run', { name: 'people' }, following())
      const replay = { ...PEOPLE, keys: ['2', '3'], since: iso(0) }
      const dry = { ...replay, dryRun: true } as const
      const before = api.requests.length
      expect(await control.call('dryRunReplay', dry, calling)).toEqual({
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
      const { view } = await control.ask('replay', replay, following())
      expect(view).toMatchObject({ cause: 'replay', triggers: { added: { detected: 1, delivered: 1 } } })
      expect(api.requests.slice(before).map(({ url }) => url)).toEqual(['/people/2'])
      const gone = { ...PEOPLE, run: 'NONE', dryRun: true } as const
      for (const missing of [gone, { ...gone, name: 'nobody' }])
        await expect(control.call('dryRunReplay', missing, calling)).rejects.toMatchObject({
          code: 'not-found',
        })
    })

    it('previews what a run would send, and sends nothing', async () => {
      const { control } = harness
      await control.ask('run', { name: 'people' }, following())
      await harness.setRows(1, 3)
      const before = api.requests.length
      await using preview = await control.preview('preview', PREVIEW, calling)
      expect(preview).toMatchObject({ counts: { added: 1, changed: 0, removed: 1 }, rowsRead: 2 })
      const sent: string[] = []
      for await (const each of preview.requests) if (each.kind === 'request') sent.push(each.keys.join())
      expect(sent.sort()).toEqual(['2', '3'])
      await using removed = await control.preview(
        'preview',
        { ...PREVIEW, trigger: 'removed', key: '2' },
        calling,
      )
      const methods: string[] = []
      for await (const each of removed.requests) if (each.kind === 'request') methods.push(each.method)
      expect(methods).toEqual(['DELETE'])
      expect(api.requests).toHaveLength(before)
      await expect(
        control.preview('preview', { ...PREVIEW, trigger: 'changed' }, calling),
      ).rejects.toMatchObject({
        code: 'usage',
      })
    })

    it('sends a request of one row as a test, which changes nothing but what was sent', async () => {
      const { control } = harness
      const sent = await control.call('sendTest', { ...PEOPLE, trigger: 'added', key: '2' }, calling)
      expect(sent).toMatchObject({
        trigger: 'added',
        keys: ['2'],
        status: 200,
        outcome: 'delivered',
        test: true,
      })
      const removed = await control.call('sendTest', { ...PEOPLE, trigger: 'removed', key: '1' }, calling)
      expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'PUT /people/2',
        'DELETE /people/1',
      ])
      const [first, second] = api.requests.map(({ headers }) => headers['idempotency-key'])
      expect(first).toMatch(/./)
      expect(second).not.toBe(first)
      expect((await control.call('listAttempts', ALL, calling)).attempts).toEqual([removed, sent])
      expect((await control.call('listAttempts', { ...ALL, run: sent.run }, calling)).attempts).toEqual([
        sent,
      ])
      expect((await control.call('listRuns', { sync: 'people', ...ALL }, calling)).runs).toEqual([])
      api.on({ url: '/people/1' }, { status: 422, body: 'no' })
      const refused = await control.call('sendTest', { ...PEOPLE, trigger: 'added', key: '1' }, calling)
      expect(refused).toMatchObject({ status: 422, outcome: 'rejected', responseBody: 'no' })
      expect((await control.call('listFailedRows', FAILED, calling)).rows).toEqual([])
      api.reset()
      const { view } = await control.ask('run', { name: 'people' }, following())
      expect(view.triggers.added).toMatchObject({ detected: 2, delivered: 2, attempts: 2 })
      const page = await control.call('listAttempts', { ...ALL, limit: 3 }, calling)
      const rest = await control.call('listAttempts', { ...ALL, limit: 3, after: page.next ?? '' }, calling)
      const all = [...page.attempts, ...rest.attempts]
      expect(all.map(({ test = false }) => test)).toEqual([false, false, true, true, true])

      const documents = [
        { kind: 'destination', name: 'draft', baseUrl: api.url, headers: { 'x-draft': 'yes' } },
        {
          ...{ kind: 'sync', name: 'draft', model: 'people', destination: 'draft' },
          triggers: { added: { method: 'POST', path: '/drafts/{{ row.id }}' } },
        },
      ]
      const unsaved = { sync: 'draft', documents, trigger: 'added', key: '2' } as const
      const tried = await control.call('sendTestOfDocuments', unsaved, calling)
      expect(tried).toMatchObject({ sync: 'draft', keys: ['2'], outcome: 'delivered', test: true })
      expect(api.requests.at(-1)).toMatchObject({ url: '/drafts/2', headers: { 'x-draft': 'yes' } })

      const missing = { ...PEOPLE, trigger: 'added', key: 'x' } as const
      await expect(control.call('sendTest', missing, calling)).rejects.toMatchObject({ code: 'not-found' })
      const without = { ...PEOPLE, trigger: 'changed', key: '1' } as const
      await expect(control.call('sendTest', without, calling)).rejects.toMatchObject({ code: 'usage' })
    })

    it('ends a run in good order when the one who asked for it says so', async () => {
      const { control } = harness
      const gate = Promise.withResolvers<object>()
      api.on({}, () => gate.promise)
      const cancel = new AbortController()
      const run = control.ask('run', { name: 'people' }, following({ cancel: cancel.signal }))
      await api.waitFor(api.requests.length + 2)
      cancel.abort(new Error('the test cancels'))
      gate.resolve({})
      const { view } = await run
      // Both requests were on their way, so they were finished.
      expect(['cancelled', 'success']).toContain(view.status)
      expect(view.triggers.added).toMatchObject({ detected: 2, delivered: 2 })
      await expect(control.ask('cancel', { id: view.id }, following())).rejects.toMatchObject({
        code: 'usage',
      })
      await expect(control.ask('approve', { id: view.id }, following())).rejects.toMatchObject({
        code: 'usage',
      })
    })

    it('keeps secrets, and gives no value', async () => {
      const { control } = harness
      expect(await control.call('listSecrets', {}, calling)).toEqual({ secrets: [], named: [] })
      const to = { name: 'CRM_key', value: 'the-first-value', for: 'api.example.com' }
      const view = { name: 'crm-key', for: to.for }
      expect(await control.call('setSecret', to, calling)).toEqual({ ...view, replaced: false })
      const again = ['one-of-two-at-once', 'two-of-two-at-once'].map(value =>
        control.call('setSecret', { name: 'crm-key', value }, calling),
      )
      for (const set of await Promise.all(again)) expect(set).toEqual({ ...view, replaced: true })
      const bare = { name: 'b', value: '"\\\n\u{1F511}', for: null }
      expect(await control.call('setSecret', bare, calling)).toEqual({
        name: 'b',
        for: null,
        replaced: false,
      })
      const { secrets } = await control.call('listSecrets', {}, calling)
      expect(secrets).toMatchObject([{ kind: 'secret', name: 'b', for: null }, view])
      expect(JSON.stringify(secrets)).not.toMatch(/value|at-once/)
      expect(await control.call('resealSecrets', {}, calling)).toEqual({ resealed: 0 })
      for (const wrong of [{ for: 'https://x/' }, { name: 'a/b' }, { value: 'x'.repeat(10_000_001) }]) {
        const refused = control.call(
          'setSecret',
          { name: 'c', value: 'the-refused-value', ...wrong },
          calling,
        )
        await expect(refused).rejects.toMatchObject({ code: 'config' })
        await expect(refused).rejects.not.toThrow(/the-refused-value|xxx/)
      }
      const removed = { kind: 'secret', name: 'Crm_Key' } as const
      expect(await control.call('removeSecret', removed, calling)).toEqual({ removed: 'crm-key' })
      await expect(control.call('removeSecret', removed, calling)).rejects.toMatchObject({
        code: 'not-found',
      })
      const login = { kind: 'login', name: 'b' } as const
      await expect(control.call('removeSecret', login, calling)).rejects.toMatchObject({ code: 'not-found' })
      expect((await control.call('listSecrets', {}, calling)).secrets.map(({ name: kept }) => kept)).toEqual([
        'b',
      ])
    })

    it('names what does not exist', async () => {
      const { control } = harness
      await control.ask('run', { name: 'people' }, following())
      const missing = { code: 'not-found' }
      await expect(control.ask('run', { name: 'poeple' }, following())).rejects.toMatchObject({
        ...missing,
        message: expect.stringContaining('did you mean `people`?'),
      })
      await expect(control.ask('cancel', { id: 'NONE' }, following())).rejects.toMatchObject(missing)
      await expect(control.call('getRun', { id: 'NONE' }, calling)).rejects.toMatchObject(missing)
      await expect(control.follow('NONE', signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject(
        missing,
      )
      await expect(control.call('listRuns', { sync: 'none', ...ALL }, calling)).rejects.toMatchObject(missing)
      await expect(control.call('listAttempts', { ...ALL, run: 'NONE' }, calling)).rejects.toMatchObject(
        missing,
      )
      await expect(
        control.call('listFailedRows', { ...FAILED, name: 'none' }, calling),
      ).rejects.toMatchObject(missing)
      await expect(control.preview('preview', { ...PREVIEW, sync: 'none' }, calling)).rejects.toMatchObject(
        missing,
      )
      const cursor = { ...ALL, after: 'x' }
      await expect(control.call('listRuns', cursor, calling)).rejects.toMatchObject({
        code: 'usage',
      })
      await expect(control.call('listFailedRows', { ...FAILED, ...cursor }, calling)).rejects.toMatchObject({
        code: 'usage',
      })
    })
  })
}

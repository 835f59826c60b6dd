import type { ReplayScope } from '@sluice/contracts/state'
import type { AttemptView, RunView } from '@sluice/contracts/api'
import type { RunCause } from '@sluice/contracts/records'
import { describe, expect, it } from 'vitest'
import { ControlFor } from './control-for.ts'
import { keepingFor } from './resources/keeping-for.ts'
import type { Control, FollowedRun, Following, ResourceKeeping } from './port.ts'
import { LogHistory } from './history/log-history.ts'
import { ProjectControl } from './project-control.ts'
import { ALL_ROLES, ROLE_OF, roleOfRun, type Role } from './roles.ts'

const { signal } = new AbortController()
const VIEW: RunView = {
  ...{ id: 'R', sync: 's', status: 'held', cause: 'manual', startedAt: null, endedAt: null },
  ...{ rowsRead: 9, rowsInvalid: 1, triggers: {} },
  error: 'the value "Ann" is no number',
  invalidRows: [{ key: 'ann@example.com', reason: 'it is there twice' }],
  errors: [{ outcome: 'rejected', status: 422, error: 'Ann is no name', key: 'ann', count: 2 }],
  held: { removed: 3, rows: 5, samples: ['ann@example.com'] },
}

const ATTEMPT: AttemptView = {
  ...{ requestId: 'test.T', run: 'T', sync: 's', trigger: 'added', attempt: 1, keys: ['ann@example.com'] },
  ...{ method: 'PUT', url: 'http://api/ann@example.com', status: 422, outcome: 'rejected' },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', durationMs: 5, requestHeaders: { 'x-name': 'Ann' } },
  ...{
    requestBody: 'Ann',
    responseHeaders: { location: 'Ann' },
    responseBody: 'Ann',
    error: 'Ann is no name',
  },
  test: true,
}
const TEST = { sync: 's', op: 'added', key: 'ann@example.com' } as const

/** A control that answers all that it is asked, and remembers what that was. */
function recording(): { readonly control: Control; readonly asked: readonly string[] } {
  const asked: string[] = []
  const answers = (name: string, answer: object) => (): Promise<object> => {
    asked.push(name)
    return Promise.resolve(answer)
  }
  const followed: FollowedRun = { view: VIEW }
  const control = {
    runs: answers('runs', { runs: [VIEW], next: null }),
    run: answers('run', VIEW),
    async *follow() {
      asked.push('follow')
      yield await Promise.resolve(VIEW)
    },
    preview: answers('preview', {}),
    syncs: answers('syncs', { syncs: [], next: null }),
    sync: answers('sync', { lastRun: null }),
    destinations: answers('destinations', { destinations: [], next: null }),
    resources: answers('resources', { resources: [], next: null }),
    attempts: answers('attempts', { attempts: [], next: null }),
    request: answers('request', {}),
    figures: answers('figures', {}),
    row: answers('row', {}),
    failed: answers('failed', { rows: [], next: null }),
    replayable: answers('replayable', {}),
    askForRun: answers('askForRun', followed),
    sendTest: answers('sendTest', ATTEMPT),
    reset: answers('reset', followed),
    approve: answers('approve', followed),
    cancel: answers('cancel', followed),
    secrets: answers('secrets', { secrets: [] }),
    alerts: answers('alerts', { alerts: [] }),
    audit: answers('audit', { entries: [], next: null }),
    health: answers('health', {}),
    testAlert: answers('testAlert', {}),
    setSecret: answers('setSecret', {}),
    removeSecret: answers('removeSecret', {}),
    resealSecrets: answers('resealSecrets', {}),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Control
  return { control, asked }
}

const following = { onProgress: () => undefined, cancel: signal }
const ANY: ReplayScope = {
  ...{ keys: null, run: null, since: null, until: null, status: null, outcome: null, trigger: null },
}

const OPERATIONS: { readonly [name: string]: (control: Control) => Promise<unknown> } = {
  runs: control => control.runs({ sync: undefined, limit: 1, after: undefined }, signal),
  run: control => control.run('R', signal),
  follow: async control => {
    const views: RunView[] = []
    for await (const view of control.follow('R', signal)) views.push(view)
    return views
  },
  preview: control => control.preview({ sync: 's', op: undefined, key: undefined, rows: 1 }, signal),
  syncs: control => control.syncs({ limit: 1, after: undefined }, signal),
  sync: control => control.sync('s', {}, signal),
  destinations: control => control.destinations({ limit: 1, after: undefined }, signal),
  resources: control => control.resources({ limit: 1, after: undefined }, signal),
  attempts: control => control.attempts({ run: 'R', limit: 1, after: undefined }, signal),
  row: control => control.row({ sync: 's', key: 'a' }, signal),
  figures: control => control.figures('R', 10, signal),
  request: control => control.request('R.0.0', signal),
  replayable: control => control.replayable({ sync: 's', scope: ANY }, signal),
  failed: control =>
    control.failed(
      { sync: 's', run: undefined, key: undefined, status: undefined, limit: 1, after: undefined },
      signal,
    ),
  askForRun: control => control.askForRun({ sync: 's' }, following),
  sendTest: control => control.sendTest(TEST, signal),
  reset: control => control.reset('s', following),
  approve: control => control.approve({ run: 'R' }, following),
  cancel: control => control.cancel('R', following),
  secrets: control => control.secrets(signal),
  alerts: control => control.alerts(signal),
  audit: control => control.audit({ limit: 1, after: undefined }, signal),
  health: control => control.health(signal),
  testAlert: control => control.testAlert('a', signal),
  setSecret: control => control.setSecret({ name: 'n', value: 'v' }, signal),
  removeSecret: control => control.removeSecret({ kind: 'secret', name: 'n' }, signal),
  resealSecrets: control => control.resealSecrets(signal),
}

describe('a role', () => {
  it('is wanted by each operation, also by one that somebody adds', () => {
    const methods = [ProjectControl, LogHistory, ControlFor].flatMap(({ prototype }) =>
      Object.getOwnPropertyNames(prototype).filter(name => name !== 'constructor'),
    )
    expect(methods.filter(name => !Object.hasOwn(ROLE_OF, name))).toEqual([])
    expect(Object.getOwnPropertyNames(ControlFor.prototype).toSorted()).toEqual(
      [...Object.keys(OPERATIONS), 'constructor'].toSorted(),
    )
  })

  it.each(['previewDocuments', 'rows'] as const)(
    '%s wants `edit`, and `read` for its rows',
    async operation => {
      const asked: string[] = []
      const keeping = {
        [operation]: () => Promise.resolve(asked.push(operation)),
      } as unknown as ResourceKeeping
      const ask = async (...roles: Role[]): Promise<unknown> => {
        const query = { sync: 's', source: 's', sql: 'select 1', limit: 1, documents: [], sample: false }
        return await keepingFor(new Set(roles), keeping)[operation](query as never, signal)
      }
      for (const [has, lacks] of [
        ['edit', 'read'],
        ['read', 'edit'],
      ] as const)
        await expect(ask(has, 'view', 'run')).rejects.toThrow(`the role \`${lacks}\``)
      expect(asked).toEqual([])
      await ask('edit', 'read')
      expect(asked).toEqual([operation])
    },
  )

  it('shows of a test without `read` only what became of it', async () => {
    const { control } = recording()
    const all = await new ControlFor(ALL_ROLES, control).sendTest(TEST, signal)
    expect(all).toEqual(ATTEMPT)
    const some = await new ControlFor(new Set(['run']), control).sendTest(TEST, signal)
    expect(some).toMatchObject({ status: 422, outcome: 'rejected', test: true })
    expect(JSON.stringify(some)).not.toMatch(/ann/i)
  })

  it.each(Object.entries(OPERATIONS))('lets only those ask for %s who have it', async (name, ask) => {
    const wanted = ROLE_OF[name as keyof typeof ROLE_OF]
    const { control, asked } = recording()
    const others = new Set([...ALL_ROLES].filter(role => role !== wanted))
    await expect(ask(new ControlFor(others, control))).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining(`the role \`${wanted}\``),
    })
    expect(asked).toEqual([])
    await ask(new ControlFor(new Set([wanted]), control))
    expect(asked).toEqual([name])
  })

  it.each<[RunCause, Role]>([
    ['manual', 'run'],
    ['retry', 'run'],
    ['resync', 'operate'],
    ['discard', 'operate'],
    ['replay', 'operate'],
  ])('for a run with the cause %s is %s', async (cause, role) => {
    expect(roleOfRun({ cause })).toBe(role)
    const { control, asked } = recording()
    const others = new Set([...ALL_ROLES].filter(each => each !== role))
    const ask = (roles: ReadonlySet<Role>): Promise<unknown> =>
      new ControlFor(roles, control).askForRun({ sync: 's', cause }, following)
    await expect(ask(others)).rejects.toMatchObject({ code: 'forbidden' })
    await ask(new Set([role]))
    expect(asked).toEqual(['askForRun'])
  })
})

it('who asks goes along with what they ask, and nobody can say that they are somebody else', async () => {
  const heard: Following[] = []
  const hears = (...of: readonly unknown[]): Promise<FollowedRun> => {
    heard.push(of[1] as Following)
    return Promise.resolve({ view: VIEW })
  }
  const control = { askForRun: hears, reset: hears, approve: hears, cancel: hears } as unknown as Control
  const ann = new ControlFor(ALL_ROLES, control, 'ann')
  const pretending = { ...following, by: 'bob' }
  await ann.askForRun({ sync: 's' }, pretending)
  await ann.reset('s', pretending)
  await ann.approve({ run: 'R' }, pretending)
  await ann.cancel('R', pretending)
  expect(heard.map(({ by }) => by)).toEqual(['ann', 'ann', 'ann', 'ann'])
})

describe('whoever may only see counts', () => {
  const roles = new Set<Role>(['view', 'run'])

  it('is shown no key, no reason and no error of a row', async () => {
    const control = new ControlFor(roles, recording().control)
    const seen = [
      await control.runs({ sync: undefined, limit: 1, after: undefined }, signal),
      await control.run('R', signal),
      await control.askForRun({ sync: 's' }, following),
    ]
    expect(JSON.stringify(seen)).not.toMatch(/ann|twice/i)
    expect(seen[1]).toMatchObject({ rowsRead: 9, rowsInvalid: 1, held: { removed: 3, rows: 5, samples: [] } })
  })

  it('is shown none while the run is under way, either', async () => {
    const progress: RunView[] = []
    const { control } = recording()
    const telling: Control = Object.assign(Object.create(control), {
      askForRun: (_: object, { onProgress }: { readonly onProgress: (view: RunView) => void }) => {
        onProgress(VIEW)
        return Promise.resolve({ view: VIEW })
      },
    })
    const onProgress = (view: RunView): void => void progress.push(view)
    await new ControlFor(roles, telling).askForRun({ sync: 's' }, { onProgress, cancel: signal })
    expect(JSON.stringify(progress)).not.toMatch(/ann|twice/i)
    expect(progress).toHaveLength(1)
  })
})

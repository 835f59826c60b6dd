import type { AttemptView, RunView } from '@sluice/contracts/api'
import {
  OPERATION_NAMES,
  OPERATIONS,
  type Operation,
  type OperationName,
} from '@sluice/contracts/api/operations'
import { describe, expect, it } from 'vitest'
import { ControlFor } from './control-for.ts'
import type { Control, Following } from './port.ts'
import { ALL_ROLES, type Role } from './roles.ts'

const { signal } = new AbortController()
const VIEW: RunView = {
  ...{ id: 'R', sync: 's', status: 'held', cause: 'manual', startedAt: null, endedAt: null },
  ...{ rowsRead: 9, rowsInvalid: 1, triggers: {} },
  error: 'the value "Ann" is no number',
  invalidRows: [{ key: 'ann@example.com', reason: 'it is there twice' }],
  errors: [{ outcome: 'rejected', status: 422, error: 'Ann is no name', key: 'ann', count: 2 }],
  firstError: { outcome: 'rejected', status: 422, error: 'Ann is no name', key: 'ann', count: 2 },
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
const TEST = { name: 's', trigger: 'added', key: 'ann@example.com' } as const

/** A control that answers all that it is asked, and remembers what that was. */
function recording(): {
  readonly control: Control
  readonly asked: readonly string[]
  readonly by: readonly (string | undefined)[]
} {
  const asked: string[] = []
  const by: (string | undefined)[] = []
  const answers: { readonly [name: string]: object } = {
    ...{ listRuns: { runs: [VIEW], next: null }, getRun: VIEW, sendTest: ATTEMPT },
    ...{ listSyncs: { syncs: [{ lastRun: VIEW }], next: null }, getSync: { lastRun: VIEW } },
  }
  const control = {
    call(name: string, _input: object, calling: Following) {
      asked.push(name)
      by.push(calling.by)
      return Promise.resolve(answers[name] ?? {})
    },
    ask(name: string, _input: object, asking: Following) {
      asked.push(name)
      by.push(asking.by)
      asking.onProgress(VIEW)
      return Promise.resolve({ view: VIEW })
    },
    preview(name: string) {
      asked.push(name)
      return Promise.resolve({})
    },
    async *follow() {
      asked.push('followRun')
      yield await Promise.resolve(VIEW)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Control
  return { control, asked, by }
}

const following = { onProgress: () => undefined, cancel: signal }

async function followed(control: Control): Promise<readonly RunView[]> {
  const views: RunView[] = []
  for await (const view of control.follow('R', signal)) views.push(view)
  return views
}

/** Asks for any operation of the table, as its kind is asked for. */
async function askFor(control: Control, name: OperationName): Promise<unknown> {
  switch (OPERATIONS[name].does) {
    case 'ask':
      return await control.ask(name as 'run', { name: 's' }, following)
    case 'preview':
      return await control.preview(name as 'preview', { sync: 's' }, { signal })
    case 'follow':
      return await followed(control)
    default:
      return await control.call(name as 'listAlerts', {}, { signal })
  }
}

const OF_CONTROL = OPERATION_NAMES.filter(name => OPERATIONS[name].does !== 'serve')

describe('a role', () => {
  it.each(OF_CONTROL)('lets only those ask for %s who have it', async name => {
    const { role, also }: Operation = OPERATIONS[name]
    const wanted = [role, also ?? role].filter(each => each !== null)
    expect(wanted).toHaveLength(2)
    const { control, asked } = recording()
    for (const missing of wanted) {
      const others = new Set([...ALL_ROLES].filter(each => each !== missing))
      await expect(askFor(new ControlFor(others, control), name)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining(`the role \`${missing}\``),
      })
    }
    expect(asked).toEqual([])
    await askFor(new ControlFor(new Set(wanted), control), name)
    expect(asked).toEqual([name])
  })

  it('to begin a sync anew is wanted of those who approve a new destination', async () => {
    const { control, asked } = recording()
    const approve = (...roles: Role[]): Promise<unknown> =>
      new ControlFor(new Set(roles), control).ask('approve', { id: 'R', destination: 'new' }, following)
    await expect(approve('approve')).rejects.toThrow('the role `operate`')
    expect(asked).toEqual([])
    await approve('approve', 'operate')
    expect(asked).toEqual(['approve'])
  })

  it('shows of a test without `read` only what became of it', async () => {
    const { control } = recording()
    const all = await new ControlFor(ALL_ROLES, control).call('sendTest', TEST, { signal })
    expect(all).toEqual(ATTEMPT)
    const some = await new ControlFor(new Set(['run']), control).call('sendTest', TEST, { signal })
    expect(some).toMatchObject({ status: 422, outcome: 'rejected', test: true })
    expect(JSON.stringify(some)).not.toMatch(/ann/i)
  })
})

it('the caller is named with what they ask, and cannot say that they are somebody else', async () => {
  const { control, by } = recording()
  const ann = new ControlFor(ALL_ROLES, control, 'ann')
  const pretending = { ...following, by: 'bob' }
  for (const name of ['run', 'reset', 'approve', 'cancel'] as const)
    await ann.ask(name, { name: 's', id: 'R' }, pretending)
  await ann.call('setSecret', { name: 'n', value: 'v' }, { signal, by: 'bob' })
  expect(by).toEqual(['ann', 'ann', 'ann', 'ann', 'ann'])
})

describe('a caller who may only see counts', () => {
  const roles = new Set<Role>(['view', 'run'])

  it('is shown no key, no reason and no error of a row', async () => {
    const control = new ControlFor(roles, recording().control)
    const seen = [
      await control.call('listRuns', { limit: 1 }, { signal }),
      await control.call('getRun', { id: 'R' }, { signal }),
      await control.call('listSyncs', { limit: 1 }, { signal }),
      await control.call('getSync', { name: 's' }, { signal }),
      await control.ask('run', { name: 's' }, following),
      await followed(control),
    ]
    expect(JSON.stringify(seen)).not.toMatch(/ann|twice/i)
    expect(seen[1]).toMatchObject({ rowsRead: 9, rowsInvalid: 1, held: { removed: 3, rows: 5, samples: [] } })
  })

  it('is shown none while the run is under way, either', async () => {
    const progress: RunView[] = []
    const onProgress = (view: RunView): void => void progress.push(view)
    const control = new ControlFor(roles, recording().control)
    await control.ask('run', { name: 's' }, { onProgress, cancel: signal })
    expect(JSON.stringify(progress)).not.toMatch(/ann|twice/i)
    expect(progress).toHaveLength(1)
  })
})

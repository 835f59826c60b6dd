import { expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { runEvents } from './run-events.ts'
import { RequestLimit } from '../access/request-limits.ts'
import { ROUTES } from './routes.ts'

const RUN: RunView = {
  id: 'R',
  sync: 's',
  status: 'running',
  cause: 'manual',
  startedAt: null,
  endedAt: null,
  rowsRead: 0,
  rowsInvalid: 0,
  error: null,
  triggers: {},
}

async function* states(...views: readonly RunView[]): AsyncGenerator<RunView> {
  await Promise.resolve()
  yield* views
}

async function all(events: AsyncIterable<string>): Promise<string[]> {
  const seen: string[] = []
  for await (const event of events) seen.push(event)
  return seen
}

const { signal } = new AbortController()

it('sends each state whole, with ids that go on from the last one that the client has seen', async () => {
  const ended: RunView = { ...RUN, status: 'success' }
  const events = await all(await runEvents(states(RUN, ended), { lastEventId: '41', signal }))
  expect(events).toEqual([
    'retry: 1000\n\n',
    `id: 42\nevent: run\ndata: ${JSON.stringify(RUN)}\n\n`,
    `id: 43\nevent: run\ndata: ${JSON.stringify(ended)}\n\n`,
  ])
})

it.each([undefined, '', 'x', '-1', '1e9', '9'.repeat(400), '4\n2'])(
  'begins at 1 for a client that says %j',
  async lastEventId => {
    const events = await all(await runEvents(states(RUN), { lastEventId, signal }))
    expect(events[1]).toMatch(/^id: 1\n/)
  },
)

it('keeps a silent connection open with comments, and ends when the client is gone', async () => {
  const gone = new AbortController()
  async function* silent(): AsyncGenerator<RunView> {
    yield RUN
    await new Promise((_resolve, reject) =>
      gone.signal.addEventListener('abort', () => reject(new Error('the client is gone'))),
    )
  }
  const options = { lastEventId: undefined, signal: gone.signal, heartbeatMs: 1 }
  const seen: string[] = []
  for await (const event of await runEvents(silent(), options)) {
    seen.push(event)
    if (seen.length === 4) gone.abort()
  }
  expect(seen.slice(2)).toEqual([': the run goes on\n\n', ': the run goes on\n\n'])
})

it('rejects before it begins if there is no such run', async () => {
  async function* none(): AsyncGenerator<RunView> {
    await Promise.reject(new SluiceError('not-found', 'There is no run `R`.'))
    yield RUN
  }
  const nothing = runEvents(none(), { lastEventId: undefined, signal })
  await expect(nothing).rejects.toMatchObject({ code: 'not-found' })
})

it('one caller cannot use up the limit of streams', () => {
  const streams = ROUTES.filter(({ streams: does }) => does === true)
  expect(streams).not.toEqual([])
  for (const { id, atOnce = 0, atOncePerCaller = atOnce } of streams) {
    const limit = new RequestLimit({ atOnce, atOncePerCaller })
    const taken = [...Array(atOnce).keys()].filter(() => isTaken(limit, 'reader'))
    expect([id, taken.length]).toEqual([id, 100])
    expect(isTaken(limit, 'operator')).toBe(true)
  }
})

function isTaken(limit: RequestLimit, caller: string): boolean {
  try {
    limit.take(caller)
    return true
  } catch {
    return false
  }
}

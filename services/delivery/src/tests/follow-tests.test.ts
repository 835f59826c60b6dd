/** Test requests of people, which delivery sends from the topic `tests`. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { TestAttempt, TestRequest } from '@sluice/contracts/test-records'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { createLogger } from '@sluice/runtime/logger'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { RecordIo } from '@sluice/topics/record-io'
import { Signatures } from '@sluice/topics/signatures'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { depsOf } from '../../test/live-delivery.ts'
import { resolveTarget } from '../destination/target.ts'
import type { DeliverDeps } from '../run/open-run.ts'
import { followTests } from './follow-tests.ts'
import { aboutToSend } from './send-test.ts'

const never = new AbortController().signal
const TARGET = at(sharedTopics(PREFIX).tests, homePartition(SYNC))
const SECRET = 'the-value-of-the-secret'
const definition = sampleDefinition({
  destination: { headers: { authorization: 'Bearer ${secret:api-key}' }, limits: { concurrency: 1 } },
})
const ANSWERED: Extract<SendResult, { kind: 'answered' }> = {
  kind: 'answered',
  status: 200,
  headers: {},
  body: `hello ${SECRET}`,
  startedAt: 1,
  durationMs: 3,
}

let world: TestLog
let sent: OutgoingRequest[]
let answer: () => Promise<SendResult>
beforeEach(async () => {
  world = await openTestLog({ partitions: 1 })
  sent = []
  answer = () => Promise.resolve(ANSWERED)
})
afterEach(() => world[Symbol.asyncDispose]())

function testOf(fields: Partial<TestRequest> = {}): TestRequest {
  return {
    ...{ id: 'T1', sync: SYNC, definition: 'hash', trigger: 'added', method: 'POST', path: '/people' },
    ...{ headers: { 'x-a': 'b' }, body: new TextEncoder().encode('{"id":1}'), keys: ['1'], withinMs: 30_000 },
    ...fields,
  }
}

async function write(...records: readonly (TestRequest | TestAttempt)[]): Promise<void> {
  const encoded = records.map(record => ({
    key: textKey(SYNC),
    value:
      'final' in record ? world.io.encode('TestAttempt', record) : world.io.encode('TestRequest', record),
  }))
  await world.append(TARGET, encoded)
}

/** Follows the topic in a process of its own, until it has so many final attempts. */
async function finals(count: number, over: Partial<DeliverDeps> = {}): Promise<readonly TestAttempt[]> {
  const drain = new AbortController()
  const sender = {
    send: (request: OutgoingRequest) => {
      sent.push(request)
      return answer()
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const target = resolveTarget(definition, () => SECRET)
  const deps = depsOf(world, { sender, resolveTarget: () => Promise.resolve(target) })
  const logger = createLogger({ name: 'test', level: 'silent' })
  const following = { ...deps, locks: createLocalLocks(), logger, ...over }
  const ends = { drain: drain.signal, abort: never }
  const done = followTests(following, ends)
  const isFinal = ({ record }: Awaited<ReturnType<TestLog['read']>>[number]): boolean =>
    record?.name === 'sluice.TestAttempt' && record.value.final
  await Promise.race([world.readUntil(TARGET, found => found.filter(isFinal).length >= count), done])
  drain.abort()
  await done
  return (await world.read(TARGET))
    .filter(isFinal)
    .flatMap(({ record }) => (record?.name === 'sluice.TestAttempt' ? [record.value] : []))
}

describe('a test', () => {
  it('is sent once with the real destination, and recorded with its secrets masked', async () => {
    await write(testOf())
    const [attempt] = await finals(1)
    expect(sent).toMatchObject([
      { method: 'POST', headers: { authorization: `Bearer ${SECRET}`, 'x-a': 'b' }, timeoutMs: 30_000 },
    ])
    expect(sent[0]?.headers['idempotency-key']).toMatch(/./)
    expect(attempt).toMatchObject({ id: 'T1', outcome: 'delivered', status: 200, requestBody: '{"id":1}' })
    expect(attempt?.responseBody).toBe('hello ***')
    expect(JSON.stringify(attempt)).not.toContain(SECRET)
    // A later owner has nothing to do with it.
    await write(testOf({ id: 'T2' }))
    expect((await finals(2)).map(({ id }) => id)).toEqual(['T1', 'T2'])
    expect(sent).toHaveLength(2)
    expect(sent[1]?.headers['idempotency-key']).not.toBe(sent[0]?.headers['idempotency-key'])
  })

  it('that a dead process was about to send is not sent again: nobody knows what became of it', async () => {
    await write(testOf(), aboutToSend(testOf()))
    expect(await finals(1)).toMatchObject([
      { outcome: 'unknown', error: expect.stringContaining('it may have been sent, or not') },
    ])
    expect(sent).toEqual([])
  })

  it('that nobody took up in time is never sent, and one that ended is not taken up', async () => {
    await write(testOf({ withinMs: -1 }), testOf({ id: 'T2' }), {
      ...aboutToSend(testOf({ id: 'T2' })),
      final: true,
    })
    await write(testOf({ id: 'T3' }))
    expect((await finals(2)).map(({ id, error }) => [id, error])).toEqual([
      ['T2', 'about to be sent'],
      ['T3', null],
    ])
    expect(sent).toHaveLength(1)
  })

  it('is unsent, and says why, if a secret is missing, the definition is lost, or the limits let nothing through', async () => {
    await write(testOf())
    const waits: DeliverDeps['resolveTarget'] = (_hash, { waitsFor, signal }) => {
      waitsFor({ kind: 'secret', until: null, detail: 'the secret `api-key` is not set' })
      return Promise.reject(signal.reason)
    }
    expect(await finals(1, { resolveTarget: waits })).toMatchObject([
      { outcome: 'unsent', error: 'the secret `api-key` is not set' },
    ])
    await write(testOf({ id: 'T2' }))
    const lost: DeliverDeps['resolveTarget'] = () =>
      Promise.reject(new SluiceError('not-found', 'there is no definition'))
    expect((await finals(2, { resolveTarget: lost }))[1]).toMatchObject({ error: 'there is no definition' })
    const { leases } = depsOf(world, { sender: NO_SENDER, resolveTarget: lost })
    const { scopes, sync: line } = resolveTarget(definition, () => '')
    const owner = { partition: 'another', marker: 0 }
    await leases.acquire({ scopes, line, owner, want: 1, slotLifeMs: 60_000 }, { signal: never })
    await write(testOf({ id: 'T3', withinMs: 300 }))
    expect((await finals(3, { leases }))[2]).toMatchObject({
      outcome: 'unsent',
      error: 'other requests use all of the concurrency limit',
    })
    expect(sent).toEqual([])
  })

  it('that is throttled pauses the destination', async () => {
    answer = () => Promise.resolve({ ...ANSWERED, status: 429, headers: { 'retry-after': '60' } })
    const deps = depsOf(world, { sender: NO_SENDER, resolveTarget: () => Promise.reject(new Error('no')) })
    const pauses: (readonly [string, number])[] = []
    const leases = {
      acquire: deps.leases.acquire.bind(deps.leases),
      giveBack: deps.leases.giveBack.bind(deps.leases),
      waitOf: deps.leases.waitOf.bind(deps.leases),
      report: deps.leases.report.bind(deps.leases),
      waiting: 0,
      pause: (scope: string, forMs: number) => {
        pauses.push([scope, forMs])
        return Promise.resolve()
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    await write(testOf())
    expect(await finals(1, { leases })).toMatchObject([{ outcome: 'throttled', status: 429 }])
    expect(pauses).toEqual([['destination/d', 60_000]])
  })

  it('without the right signature is not sent', async () => {
    await using codec = createSqliteCodec({ file: world.file })
    const signatures = Signatures.of(Buffer.alloc(32, 1).toString('base64'))
    const io = await RecordIo.open(codec, PREFIX, { signatures, signal: never })
    await write(testOf())
    const value = io.encode('TestRequest', testOf({ id: 'T2' }))
    await world.append(TARGET, [io.signed(TARGET.topic, { key: textKey(SYNC), value })])
    expect((await finals(1, { io })).map(({ id }) => id)).toEqual(['T2'])
    expect(sent).toHaveLength(1)
  })
})

const NO_SENDER = {
  send: () => Promise.reject(new Error('nothing is sent')),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

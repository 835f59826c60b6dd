/**
 * The cache of the delivered state is gone or cannot be used. The detector rebuilds the state from its
 * topics. The user sees why and how far it is, and may end the run meanwhile. No row is sent again (R3).
 */
import { rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import { createLogger } from '@sluice/runtime/logger'
import { at, homePartition, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { PREFIX } from '@sluice/testkit/test-log'
import { OneProcess, type Services } from './one-process.ts'

const ROWS = Array.from({ length: 3000 }, (_, id) => id)
const TRIGGERS = {
  added: {
    method: 'POST',
    path: '/batch',
    batch: { size: 500 },
    body: { json: '[{% for row in rows %}{{ row.id }},{% endfor %}]' },
  },
}

let world: OneProcess
interface Line {
  readonly msg: string
  readonly [field: string]: unknown
}

let lines: Line[]

beforeEach(async () => {
  lines = []
  world = await OneProcess.open({ triggers: TRIGGERS })
  await world.setRows(ROWS)
  const services = world.start()
  expect(await world.run()).toMatchObject({ status: 'success' })
  await services.drain()
})
afterEach(() => world[Symbol.asyncDispose]())

const stateFile = (): string => join(world.log.folder, 'state', `${SYNC}.duckdb`)

/** Services for which two seconds pass whenever they read the clock. */
function startSlow(log?: MessageLog): Services {
  let now = 0
  const write = (line: string): void => {
    const logged: Line = JSON.parse(line)
    lines.push(logged)
  }
  const logger = createLogger({ name: 'test', level: 'info', write })
  return world.start({ logger, steadyNow: () => (now += 2000), ...(log === undefined ? {} : { log }) })
}

/** A log that, after the first records of `changes`, goes on only once the reader aborts. */
function stuckLog(log: MessageLog): MessageLog {
  const read: MessageLog['read'] = async function* (target, options) {
    for await (const batch of log.read(target, options)) {
      yield batch
      if (target.topic !== syncTopics(PREFIX, SYNC).changes) continue
      const { signal } = options
      await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
      signal.throwIfAborted()
    }
  }
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = name === 'read' ? read : Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Every event of a run, in order. */
async function eventsOf(runId: string): Promise<readonly RunEvent[]> {
  const records = await world.log.read(at(sharedTopics(PREFIX).runs, homePartition(SYNC)))
  return records.flatMap(({ record }) =>
    record?.name === 'sluice.RunEvent' && record.value.runId === runId ? [record.value] : [],
  )
}

describe('a delivered state', () => {
  it.each([
    ['is lost', () => rm(stateFile()), 'there is no cache of it here'],
    [
      'is cut short',
      async () => truncate(stateFile(), Math.floor((await stat(stateFile())).size / 2)),
      /^its cache cannot be used: it cannot be/,
    ],
    [
      'is no database',
      () => writeFile(stateFile(), 'x'.repeat(100_000)),
      /^its cache cannot be used: it cannot/,
    ],
  ])('whose cache %s is rebuilt, and shows its progress', async (_, damage, why) => {
    await damage()
    startSlow()
    const { runId, status, counts, restoring } = await world.run()
    expect({ status, restoring, detected: counts.added?.detected }).toEqual({
      status: 'success',
      restoring: null,
      detected: 0,
    })
    const steps = (await eventsOf(runId)).map(event => event.restoring)
    const told = steps.filter(step => step !== null)
    expect(told.length).toBeGreaterThan(1)
    expect(told[0]?.why).toMatch(why)
    // The progress covers all records and the markers around them, in any number of batches.
    const last = told.at(-1)
    expect(last?.of).toBeGreaterThan(ROWS.length)
    expect(last?.records).toBe(last?.of)
    expect(told.map(({ records }) => records)).toEqual(
      told.map(({ records }) => records).toSorted((a, b) => a - b),
    )
    const shown = lines.filter(({ msg }) => msg.startsWith('the delivered state is'))
    expect(shown[0]).toMatchObject({
      msg: 'the delivered state is rebuilt from its topics',
      why: told[0]?.why,
    })
    expect(shown.at(-1)).toMatchObject({ msg: 'the delivered state is rebuilt', percent: 100 })
    expect(world.api.sent).toHaveLength(ROWS.length)
  })

  it('that is only brought up to date is not called rebuilt', async () => {
    startSlow()
    const { runId } = await world.run()
    const told = (await eventsOf(runId)).flatMap(({ restoring }) => restoring ?? [])
    expect(told.map(({ why }) => why)).toEqual(told.map(() => null))
    expect(lines.filter(({ msg }) => msg.includes('rebuilt'))).toEqual([])
  })

  it('lets its run be cancelled while it is rebuilt', async () => {
    await rm(stateFile())
    startSlow(stuckLog(world.log.log))
    const run = await world.command()
    await world.until(run, ({ restoring }) => restoring !== null)
    await world.command({ kind: 'cancel', run })
    expect(await world.ended(run)).toMatchObject({ status: 'cancelled', error: null, restoring: null })
  })

  it('lets its process be stopped while it is rebuilt, and the next process rebuilds it from the start', async () => {
    await rm(stateFile())
    const services = startSlow(stuckLog(world.log.log))
    const run = await world.command()
    await world.until(run, ({ restoring }) => restoring !== null)
    await services.drain()
    startSlow()
    expect(await world.ended(run)).toMatchObject({ status: 'failed', restoring: null })
    expect(await world.run()).toMatchObject({ status: 'success' })
    await world.allEnded()
    expect(world.api.sent).toHaveLength(ROWS.length)
  })
})

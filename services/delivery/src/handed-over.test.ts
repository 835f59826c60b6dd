/**
 * A partition that goes to another process while requests are under way: who watches the run sees why it
 * waits.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PartitionReport } from '@sluice/contracts/records'
import type { SendResult } from '@sluice/http-sender/port'
import { sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { depsOf, finishLife, startLife, tellOfRun, type Life } from '../test/live-delivery.ts'
import { resolveTarget } from './destination/target.ts'

vi.setConfig({ testTimeout: 30_000 })

const never = new AbortController().signal

describe('a partition that is handed over', () => {
  let world: TestLog
  /** Resolves the requests that are under way, oldest first. */
  let underWay: (() => void)[] = []
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    underWay = []
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const start = async (keys: readonly string[]): Promise<() => Life> => {
    const definition = sampleDefinition({ sync: { limits: { concurrency: 1 } } })
    const run = sampleEvent({ definition: await world.definitions.put(definition, { signal: never }) })
    await tellOfRun(world, run)
    const begin = { run: 1, runId: run.runId, definition: run.definition ?? '', startedAt: 1, first: true }
    await writeRequests(world, { begin, keys })
    const answer = { status: 200, headers: {}, body: '', durationMs: 0 }
    const send = async (): Promise<SendResult> => {
      await new Promise<void>(resolve => underWay.push(resolve))
      return { kind: 'answered', startedAt: Date.now(), ...answer }
    }
    const sender = { send, [Symbol.asyncDispose]: () => Promise.resolve() }
    const target = resolveTarget(definition, () => '')
    const deps = depsOf(world, { sender, resolveTarget: () => Promise.resolve(target) })
    return () => startLife(deps, run)
  }
  const report = (): PartitionReport | undefined => world.runs.of(SYNC)?.reports.get(0)
  const waits = (): string | undefined =>
    report()
      ?.waits?.map(({ kind }) => kind)
      .join()
  const waitsAre = (kinds: string): Promise<void> =>
    world.runs.until(() => waits() === kinds, { signal: never })

  it('says so from half a second on, until its next owner is at work', async () => {
    const live = await start(['a', 'b'])
    const first = live()
    await vi.waitFor(() => expect(underWay).toHaveLength(1))
    const drained = first.drain()
    const since = performance.now()
    await waitsAre('takeover')
    expect(performance.now() - since).toBeLessThan(2_000)
    expect(report()?.waits).toMatchObject([{ until: null, detail: expect.stringContaining('under way') }])
    underWay.shift()?.()
    await drained
    expect(report()?.ended).toBe(false)

    const second = live()
    await vi.waitFor(() => expect(underWay).toHaveLength(1))
    await waitsAre('')
    underWay.shift()?.()
    await finishLife(world, second)
    expect(report()).toMatchObject({ ended: true, counts: { added: { delivered: 2 } } })
  })

  it('says nothing if that is soon over', async () => {
    const live = await start(['a', 'b'])
    const first = live()
    await vi.waitFor(() => expect(underWay).toHaveLength(1))
    const drained = first.drain()
    underWay.shift()?.()
    await drained
    expect(report()?.waits ?? []).toEqual([])
  })
})

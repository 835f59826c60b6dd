/**
 * A run whose first request comes late, to an API that does not answer: who watches the run sees that it
 * sends.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import type { PartitionReport } from '@sluice/contracts/records'
import type { SendResult } from '@sluice/http-sender/port'
import { sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog } from '@sluice/testkit/test-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { depsOf, finishLife, startLife, tellOfRun } from '../test/live-delivery.ts'
import { resolveTarget } from './destination/target.ts'

const PATIENT = { timeout: 60_000 }
const never = new AbortController().signal

it('is reported as sending before the first answer', PATIENT, async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = sampleDefinition({})
  const run = sampleEvent({ definition: await world.definitions.put(definition, { signal: never }) })
  await tellOfRun(world, run)
  const begin = { run: 1, runId: run.runId, definition: run.definition ?? '', startedAt: 1, first: true }
  const answer = Promise.withResolvers<undefined>()
  const send = async (): Promise<SendResult> => {
    await answer.promise
    return { kind: 'answered', startedAt: Date.now(), status: 200, headers: {}, body: '', durationMs: 0 }
  }
  const sender = { send, [Symbol.asyncDispose]: () => Promise.resolve() }
  const target = resolveTarget(definition, () => '')
  const opened = Promise.withResolvers<undefined>()
  const openTarget = () => {
    opened.resolve(undefined)
    return Promise.resolve(target)
  }
  const life = startLife(depsOf(world, { sender, resolveTarget: openTarget }), run)
  const phases = (): PartitionReport['phases'] => world.runs.of(SYNC)?.reports.get(0)?.phases ?? null
  // The run is open, and its first looks find nothing, before the request is there.
  const before = () => opened.promise.then(() => pause(1_200))
  await writeRequests(world, { begin, keys: ['a'], before })
  await vi.waitFor(() => expect(phases()?.sendingFrom).toEqual(expect.any(Number)), PATIENT)
  answer.resolve(undefined)
  await finishLife(world, life)
  expect(world.runs.of(SYNC)?.reports.get(0)).toMatchObject({
    ended: true,
    counts: { added: { delivered: 1 } },
  })
})

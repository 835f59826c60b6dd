import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Attempt, Marker } from '@sluice/contracts/records'
import { plainMarker } from '@sluice/partition/take-over'
import { at, markerKey, syncTopics, textKey } from '@sluice/topics/topics'
import { INCARNATION, sampleAttempt, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { recoverLedger } from './request-history.ts'

const { signal } = new AbortController()
const topics = syncTopics(PREFIX, SYNC)
const attempts = at(topics.attempts, 0)
const checkpoint = (offset: number, from: number) => ({ offset, from, run: 1, counts: {} })

describe('recoverLedger', () => {
  let world: TestLog
  beforeEach(async () => (world = await openTestLog({ partitions: 1 })))
  afterEach(() => world[Symbol.asyncDispose]())

  const mark = (kind: Marker['kind'], fields: Partial<Marker>): Promise<number> => {
    const value = world.io.encode('Marker', { ...plainMarker(kind, INCARNATION, 0), ...fields })
    return world.append(attempts, [{ key: markerKey(kind, '0'), value }])
  }
  const attempt = (requestOffset: number, fields: Partial<Attempt> = {}): Promise<number> => {
    const value = world.io.encode('Attempt', sampleAttempt({ requestOffset, seq: requestOffset, ...fields }))
    return world.append(attempts, [{ key: textKey(`${requestOffset}`), value }])
  }
  const recover = () => {
    const { log, io } = world
    const requests = at(topics.requests, 0)
    return recoverLedger({
      log,
      io,
      incarnation: INCARNATION,
      requests,
      attempts,
      bufferBytes: 1_000,
      signal,
    })
  }

  it('goes on from the last checkpoint where an append of many attempts was cut before its own', async () => {
    await mark('takeover', {})
    await mark('run-begin', { checkpoint: checkpoint(1, 2) })
    await attempt(1)
    await attempt(2, { checkpoint: checkpoint(1, 2) })
    await attempt(3)
    await attempt(4)
    // The successor writes its marker before it reads the ledger.
    await mark('takeover', {})
    const recovered = await recover()
    expect(recovered.checkpoint).toEqual(checkpoint(1, 2))
    expect([...recovered.known.keys()]).toEqual([1, 2, 3, 4])
    expect([...recovered.known.values()].map(({ firstAttempt }) => firstAttempt)).toEqual([2, 3, 4, 5])
    expect(recovered.clean).toBe(false)
  })

  it('goes on from the start of a run whose first append was cut', async () => {
    await mark('takeover', {})
    await mark('run-begin', { checkpoint: checkpoint(1, 2) })
    await attempt(1)
    const recovered = await recover()
    expect(recovered.checkpoint).toEqual(checkpoint(1, 2))
    expect([...recovered.known.keys()]).toEqual([1])
  })

  it('is corrupt where attempts stand without any checkpoint', async () => {
    await attempt(1)
    await expect(recover()).rejects.toMatchObject({ code: 'corrupt' })
  })
})

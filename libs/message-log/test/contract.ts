/**
 * The promises of `port.ts` as a suite that every adapter passes:
 *
 *     messageLogContract('kafka', { remote: true }, async () => ({ open, compactNow, forgetGroup, faults,
 *     close }))
 *
 * This folder has one file for each kind of promise. The tests of promises that only one adapter makes stand
 * beside that adapter.
 */
import { describe } from 'vitest'
import { abortContract, silenceContract } from './aborts.ts'
import { closingContract } from './closing.ts'
import { compactionContract } from './compaction.ts'
import { costContract } from './cost.ts'
import { faultContract } from './faults.ts'
import { Fixture, type MessageLogHarness } from './fixture.ts'
import { groupContract } from './groups.ts'
import { readingContract } from './reading.ts'
import { stageContract } from './stage.ts'
import { topicContract } from './topics.ts'
import { writerContract } from './writers.ts'

export { FILLER_KEY } from './fixture.ts'

/**
 * Registers the suite under `name`. It calls `start` once, before the first test, and closes the harness
 * after the last. Only a remote log is tested with failing connections.
 */
export function messageLogContract(
  name: string,
  { remote }: { readonly remote: boolean },
  start: () => Promise<MessageLogHarness>,
): void {
  describe(`message log: ${name}`, () => {
    const fixture = new Fixture(start)
    fixture.register()
    describe('topics', () => topicContract(fixture))
    describe('reading and appending', () => readingContract(fixture))
    describe('writers', () => writerContract(fixture))
    describe('compaction', () => compactionContract(fixture))
    describe('groups', () => groupContract(fixture))
    describe('a stage', () => stageContract(fixture))
    describe('aborts', () => abortContract(fixture))
    if (remote) describe('silence', () => silenceContract(fixture))
    if (remote) describe('faults', () => faultContract(fixture))
    describe('cost', () => costContract(fixture))
    describe('closing', () => closingContract(fixture))
  })
}

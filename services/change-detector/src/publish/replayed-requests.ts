/**
 * Where recorded requests that are sent again stand in `changes` (PROTOCOL.md §12): whole, each under a key
 * of its own, which is no key of a row. The keys are numbered. So those of one replay take the place of those
 * of the one before, if nobody has ended them.
 */
import { lastOwnRecord, markerOf } from '@sluice/topics/owned-reader'
import { at, markerKey } from '@sluice/topics/topics'
import type { Tenure } from '../sync/tenure.ts'

/** All go to one partition. So the requests of a key stay in their order, wherever the key stood. */
export const REPLAY_PARTITION = 0

/** Tombstones that are written at once. */
const APPEND_RECORDS = 1000

export function replayKey(number: number): Uint8Array {
  return markerKey('replay', `${REPLAY_PARTITION}/${number}`)
}

/**
 * Ends the keys of the replay at work, all of whose requests are finished. Otherwise compaction would keep
 * their bodies for ever.
 */
export async function endReplayed({ deps, ownership, life, ends }: Tenure): Promise<void> {
  const run = life.atWork?.run
  if (run?.cause !== 'replay') return
  const { log, io } = deps
  const { incarnation, topics } = ownership
  const signal = ends.drain
  const requests = at(topics.requests, REPLAY_PARTITION)
  const last = await lastOwnRecord({ log, io, target: requests, incarnation, stage: 'requests', signal })
  const end = markerOf(last?.record ?? null)
  const count = end?.kind === 'run-end' && end.begin?.run === run.run ? (end.count ?? 0) : 0
  const keys = Array.from({ length: count }, (_, number) => replayKey(number))
  const changes = at(topics.changes, REPLAY_PARTITION)
  for (let from = 0; from < count; from += APPEND_RECORDS) {
    const records = keys.slice(from, from + APPEND_RECORDS).map(key => ({ key, value: null }))
    await ownership.owner(REPLAY_PARTITION).append(changes, records, { signal })
  }
}

/**
 * The place in `changes` of recorded requests that are sent again (PROTOCOL.md §12). Each is stored there
 * whole, under a key of its own, which is no key of a row. The keys are numbered. So the requests of one
 * replay replace those of an earlier one whose keys were not ended.
 */
import { lastOwnRecord, markerOf } from '@sluice/topics/owned-reader'
import { at, markerKey } from '@sluice/topics/topics'
import type { OwnedSync } from '../sync/owned-sync.ts'

/** The one partition of all replayed requests. So the requests of a key stay in their order. */
export const REPLAY_PARTITION = 0

/** One append has up to this many tombstones. */
const APPEND_RECORDS = 1000

export function replayKey(number: number): Uint8Array {
  return markerKey('replay', `${REPLAY_PARTITION}/${number}`)
}

/**
 * Ends the keys of the run at work, if it is a replay. Without that, compaction would keep the bodies of its
 * requests for ever. All of these requests must be finished.
 */
export async function endReplayed({ deps, ownership, life, ends }: OwnedSync): Promise<void> {
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
    await ownership.of(REPLAY_PARTITION).append(changes, records, { signal })
  }
}

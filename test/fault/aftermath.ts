/**
 * The effect of a kill: how soon the stage went on without the dead process, and which requests came twice.
 */
import type { RecordedRequest } from '@sluice/testkit/scripted-api'
import { isTakeover, type Placed } from '@sluice/topics/owned-reader'
import { STAGE_OF, type Kill } from './kills.ts'
import { goOnWithinMs } from './pace.ts'
import { CONCURRENCY, type Pipeline } from './people-pipeline.ts'

/** In flight, and as many again that were answered and whose attempts were not acknowledged (R7). */
const REPEATABLE = 2 * CONCURRENCY
/** A process that still writes this long after a kill was not killed. */
const LATE_APPENDS_MS = 1_000

export interface Aftermath {
  readonly kill: Kill
  /** The longest time for which a partition with work stood still. Null if no work was left. */
  readonly wentOnMs: number | null
  /** The most that this time may be. */
  readonly wentOnAllowedMs: number
  readonly repeats: number
  readonly repeatsAllowed: number
}

/** Examines the kills of one run, in the order of their times, once that run is over. */
export async function aftermaths(
  { topics }: Pipeline,
  kills: readonly Kill[],
  sent: readonly RecordedRequest[],
): Promise<readonly Aftermath[]> {
  const [changes, requests, attempts] = await Promise.all([
    topics.records('changes'),
    topics.records('requests'),
    topics.records('attempts'),
  ])
  const input = { changes: null, requests: changes, attempts: requests }
  const output = { changes, requests, attempts }
  const repeats = repeatsByKill(kills, sent)
  return kills.map(kill => {
    const stage = STAGE_OF[kill.service]
    const next = kills.find(({ service, killedAt }) => service === kill.service && killedAt > kill.killedAt)
    const span = { from: kill.killedAt, to: next?.killedAt ?? Infinity }
    const waits = output[stage].map((records, partition) =>
      wentOnAfter(span, records, input[stage]?.[partition] ?? null),
    )
    const last = kills.findLast(
      ({ service, killedAt }) => service === kill.service && killedAt < kill.killedAt,
    )
    const longest = Math.max(-1, ...waits.filter(wait => wait !== null))
    return {
      kill,
      wentOnMs: longest < 0 ? null : longest,
      wentOnAllowedMs: goOnWithinMs({
        sinceLastKillMs: last === undefined ? Infinity : kill.killedAt - last.killedAt,
        restartAfterMs: kill.restartAfterMs,
      }),
      repeats: repeats.get(kill) ?? 0,
      repeatsAllowed: kill.service === 'delivery' ? REPEATABLE : 0,
    }
  })
}

/**
 * The time from the kill to the next record of the stage in a partition, if it comes before the next kill in
 * the same stage. Only a record made from input that was there before the kill counts. If the stage has no
 * input, any record counts, even a takeover. In a partition of the dead process, only a record of its
 * successor counts, since Kafka may still append records that the dead process had sent.
 */
function wentOnAfter(
  { from: killedAt, to }: { readonly from: number; readonly to: number },
  records: readonly Placed[],
  input: readonly Placed[] | null,
): number | null {
  const appendedAt = new Map(input?.map(({ offset, timestamp }) => [offset, timestamp]))
  const wasThere = (offset: number): boolean => (appendedAt.get(offset) ?? Infinity) < killedAt
  const counts = ({ record }: Placed): boolean => {
    if (input === null) return true
    if (record?.name === 'sluice.Attempt') return wasThere(record.value.requestOffset)
    return record?.name === 'sluice.Request' && wasThere(record.value.changesStart)
  }
  const isNew = ({ record }: Placed): boolean => record !== null && isTakeover(record)
  const owner = records.findLast(placed => isNew(placed) && placed.timestamp < killedAt)?.offset ?? -1
  const after = records.filter(({ timestamp }) => timestamp >= killedAt && timestamp < to)
  const lives = after.some(
    ({ record, timestamp }) =>
      record !== null &&
      'owner' in record.value &&
      record.value.owner === owner &&
      timestamp > killedAt + LATE_APPENDS_MS,
  )
  const successor = lives ? -1 : after.findIndex(isNew)
  const next = after.slice(Math.max(0, successor)).find(counts)
  return next === undefined ? null : next.timestamp - killedAt
}

/** Counts each repeat for the latest kill of a delivery process before it. Throws if there was none. */
function repeatsByKill(kills: readonly Kill[], sent: readonly RecordedRequest[]): ReadonlyMap<Kill, number> {
  const repeats = new Map<Kill, number>()
  const keys = new Map<string, string>()
  for (const { url, headers, arrivedAt } of sent) {
    const key = headers['idempotency-key'] ?? ''
    const earlier = keys.get(url)
    keys.set(url, key)
    if (earlier === undefined) continue
    if (earlier !== key) throw new Error(`${url} was repeated with ${key} instead of ${earlier}`)
    const cause = kills.findLast(kill => kill.service === 'delivery' && kill.killedAt <= arrivedAt)
    if (cause === undefined) throw new Error(`${url} was repeated although no delivery process had died`)
    repeats.set(cause, (repeats.get(cause) ?? 0) + 1)
  }
  return repeats
}

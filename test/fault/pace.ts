/**
 * How fast this machine is at present: promises in seconds are made for one that has a processor to spare.
 */
import { availableParallelism, loadavg } from 'node:os'

const GO_ON_WITHIN_MS = 10_000
/** After which Kafka takes a silent member for dead. */
const SESSION_MS = 6_000
/** What the pipeline under test itself adds to the load of two processors. */
const OWN_LOAD = 3

/** A process takes up to so long from its start to joining its group. */
const START_MS = 1_000

/**
 * How soon the survivors of a kill have to go on; more where other work keeps the processors busy. What takes
 * the place of a process that was killed joins the group, which waits for the dead until its session is over.
 * Kafka counts one that dies in that as alive until then, and misses it a session later. One that joins just
 * when the dead is missed lets the partitions be shared out twice, and may get what the others have begun to
 * take over.
 */
export function goOnWithinMs(of: {
  readonly sinceLastKillMs: number
  readonly restartAfterMs: number
}): number {
  const [load = 0] = loadavg()
  const { sinceLastKillMs, restartAfterMs } = of
  const diedJoining = sinceLastKillMs < GO_ON_WITHIN_MS
  const joinsAsMissed = restartAfterMs >= SESSION_MS - START_MS && restartAfterMs < GO_ON_WITHIN_MS
  const promisedMs = GO_ON_WITHIN_MS + (diedJoining || joinsAsMissed ? SESSION_MS : 0)
  return Math.round(promisedMs * Math.max(1, load / (OWN_LOAD * availableParallelism())))
}

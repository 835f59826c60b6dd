/**
 * Measures how fast this machine is at present. The promises in seconds hold for a machine with an idle
 * processor.
 */
import { availableParallelism, loadavg } from 'node:os'

const GO_ON_WITHIN_MS = 10_000
/** The time after which Kafka takes a silent member for dead. */
const SESSION_MS = 6_000
/** The load that the pipeline under test itself puts on two processors. */
const OWN_LOAD = 3

/** The most time that a process takes from its start to joining its group. */
const START_MS = 1_000

/**
 * The survivors of a kill have to go on within this time. The time is longer if other work keeps the
 * processors busy.
 *
 * The process that replaces a killed one joins the group, and the group waits for the dead process until its
 * session is over. If another process dies meanwhile, Kafka counts it as alive until then, and misses it a
 * session later. A process that joins just when the dead one is missed makes the group share out the
 * partitions twice. It may then get partitions that others have begun to take over.
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

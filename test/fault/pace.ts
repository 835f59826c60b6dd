/**
 * How fast this machine is at present: promises in seconds are made for one that has a processor to spare.
 */
import { availableParallelism, loadavg } from 'node:os'

const GO_ON_WITHIN_MS = 10_000
/** After which Kafka takes a silent member for dead. */
const SESSION_MS = 6_000
/** What the pipeline under test itself adds to the load of two processors. */
const OWN_LOAD = 3

/**
 * How soon the survivors of a kill have to go on; more where other work keeps the processors busy. What takes
 * the place of a process that was killed joins the group, which waits for the dead until its session is over.
 * Kafka counts one that dies in that as alive until then, and misses it a session later.
 */
export function goOnWithinMs(sinceLastKillMs: number): number {
  const [load = 0] = loadavg()
  const isJoining = sinceLastKillMs < GO_ON_WITHIN_MS
  const promisedMs = GO_ON_WITHIN_MS + (isJoining ? SESSION_MS : 0)
  return Math.round(promisedMs * Math.max(1, load / (OWN_LOAD * availableParallelism())))
}

/**
 * How fast this machine is at present: promises in seconds are made for one that has a processor to spare.
 */
import { availableParallelism, loadavg } from 'node:os'

const GO_ON_WITHIN_MS = 10_000
/** What the pipeline under test itself adds to the load of two processors. */
const OWN_LOAD = 3

/** How soon the survivors of a kill have to go on; more where other work keeps the processors busy. */
export function goOnWithinMs(): number {
  const [load = 0] = loadavg()
  return GO_ON_WITHIN_MS * Math.max(1, load / (OWN_LOAD * availableParallelism()))
}

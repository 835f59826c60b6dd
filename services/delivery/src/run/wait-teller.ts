/**
 * Says when people should be told that a partition begins or ceases to wait. Some waits come and go many
 * times a second for days, and each report stays on `runs` for a while. So a change is told at once as long
 * as changes are rare, and then only now and then.
 */
import type { Wait, WaitNow } from '@sluice/contracts/run-records'
import type { AttemptCredentials } from '../destination/attempt-credentials.ts'
import type { DestinationGate } from '../send/destination-gate.ts'
import type { ThrottleWindow } from '../send/throttles.ts'
import type { WaitingRequests } from '../send/waiting-requests.ts'

const THROTTLED = 'the API asked for a pause, and took no request since'

/** Returns what the requests of a run wait for; null while requests are sent, or there is none. */
export function queueWait(
  {
    queued,
    underWay,
    window,
  }: {
    readonly queued: number
    readonly underWay: number
    readonly window: Pick<ThrottleWindow, 'isThrottled'>
  },
  of: {
    readonly gate: DestinationGate
    readonly credentials: AttemptCredentials | null
    readonly waiting: Pick<WaitingRequests, 'waitsFor'>
  },
): WaitNow | null {
  const { gate, credentials, waiting } = of
  const token = credentials?.waitsFor ?? null
  if (queued > 0 && token !== null) return token
  const wait = queued === 0 ? null : gate.waitsFor(underWay)
  // Between two pauses a single request is on its way, which most likely is throttled, too.
  if (window.isThrottled && wait?.kind !== 'breaker')
    return { kind: 'throttled', until: wait?.until ?? gate.restsUntil, detail: THROTTLED }
  return wait ?? (queued + underWay > 0 ? null : waiting.waitsFor)
}

/** So many changes are told at once, and one more after each pause. */
const CHANGES_AT_ONCE = 10
/** An end that moves by less is the same to people. */
const SAME_END_MS = 2_000

export class WaitTeller {
  #seen: Wait | null = null
  #told: Wait | null = null
  #left = CHANGES_AT_ONCE
  #refilledMs = 0

  /** `before` is what an earlier owner told last of the run: it may be over. */
  constructor(before: readonly Wait[]) {
    this.#told = before[0] ?? null
  }

  /** What people were told last. */
  get told(): readonly Wait[] {
    return this.#told === null ? [] : [this.#told]
  }

  /** True if people should be told now. `refillMs`: how often, if changes never cease. */
  see(wait: WaitNow | null, { nowMs, refillMs }: { nowMs: number; refillMs: number }): boolean {
    this.#seen = wait === null ? null : this.#since(wait)
    if (nowMs - this.#refilledMs >= refillMs) {
      this.#left = Math.min(CHANGES_AT_ONCE, this.#left + 1)
      this.#refilledMs = nowMs
    }
    if (isAlike(this.#seen, this.#told) || this.#left === 0) return false
    this.#left -= 1
    this.#told = this.#seen
    return true
  }

  /** Times are whole ms on the topic. */
  #since(wait: WaitNow): Wait {
    const since = wait.kind === this.#seen?.kind ? this.#seen.since : Date.now()
    return { ...wait, since, until: wait.until === null ? null : Math.ceil(wait.until) }
  }
}

function isAlike(one: Wait | null, other: Wait | null): boolean {
  if (one === null || other === null) return one === other
  if (one.kind !== other.kind || one.detail !== other.detail) return false
  if (one.until === null || other.until === null) return one.until === other.until
  return Math.abs(one.until - other.until) < SAME_END_MS || Date.now() < other.until
}

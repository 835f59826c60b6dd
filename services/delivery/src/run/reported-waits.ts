/**
 * The waits of a run that people see: which wait it is, and when a change is reported. Some waits come and go
 * many times a second for days, and each report stays on `runs` for a while. So rare changes are reported at
 * once, and frequent ones only now and then.
 */
import type { Wait, WaitNow } from '@sluice/contracts/records'
import type { AttemptCredentials } from '../destination/attempt-credentials.ts'
import type { DestinationGate } from '../send/destination-gate.ts'
import type { ThrottleWindow } from '../send/throttles.ts'
import type { WaitingRequests } from '../send/waiting-requests.ts'

/** Returns the wait of the requests of a run; null while requests are sent, or there are none. */
export function queueWait({
  queued,
  underWay,
  window,
  gate,
  credentials,
  waiting,
}: {
  readonly queued: number
  readonly underWay: number
  readonly window: Pick<ThrottleWindow, 'isThrottled'>
  readonly gate: DestinationGate
  readonly credentials: AttemptCredentials | null
  readonly waiting: Pick<WaitingRequests, 'waitsFor'>
}): WaitNow | null {
  const token = credentials?.waitsFor ?? null
  if (queued > 0 && token !== null) return token
  const wait = queued === 0 ? null : gate.waitsFor(underWay)
  // Between two pauses a single request is on its way, which most likely is throttled, too.
  if (window.isThrottled && wait?.kind !== 'breaker')
    return { kind: 'throttled', until: wait?.until ?? gate.restsUntil, detail: gate.pauseText }
  return wait ?? (queued + underWay > 0 ? null : waiting.waitsFor)
}

/** This many changes are reported at once, and one more after each pause. */
const MAX_CHANGES_AT_ONCE = 10
/** Waits whose ends differ by less count as the same. */
const SAME_END_MS = 2_000

export class ReportedWaits {
  #seen: Wait | null = null
  #reported: Wait | null = null
  #left = MAX_CHANGES_AT_ONCE
  #refilledMs = 0

  /** `before` has the wait that an earlier owner of the run reported last. That wait may be over. */
  constructor(before: readonly Wait[]) {
    this.#reported = before[0] ?? null
  }

  /** The wait that was reported last. */
  get reported(): readonly Wait[] {
    return this.#reported === null ? [] : [this.#reported]
  }

  /**
   * Takes the present wait. Returns true if it is to be reported now. `refillMs` is the pause between two
   * reports of frequent changes.
   */
  see(wait: WaitNow | null, { nowMs, refillMs }: { nowMs: number; refillMs: number }): boolean {
    this.#seen = wait === null ? null : this.#since(wait)
    if (nowMs - this.#refilledMs >= refillMs) {
      this.#left = Math.min(MAX_CHANGES_AT_ONCE, this.#left + 1)
      this.#refilledMs = nowMs
    }
    if (isAlike(this.#seen, this.#reported) || this.#left === 0) return false
    this.#left -= 1
    this.#reported = this.#seen
    return true
  }

  /** Adds the time at which the wait began. Records hold whole ms. */
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

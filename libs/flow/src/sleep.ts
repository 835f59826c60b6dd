import type { Abortable } from './abortable.ts'

/** The longest delay that a timer of Node can hold; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Resolves after `ms` milliseconds (at least one turn of the event loop). Rejects with the signal's reason as
 * soon as that aborts. The process stays alive meanwhile. It never waits longer than 24.8 days.
 */
export function sleep(ms: number, options: Abortable): Promise<void> {
  const { signal } = options
  return new Promise<void>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      },
      Math.min(Math.max(ms, 0), MAX_TIMER_MS),
    )
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/**
 * Resolves in the next turn of the event loop, after pending I/O. A loop over work that is always ready
 * awaits it now and then, since timers, sockets and aborts would starve otherwise. Never rejects; the caller
 * checks its signal afterwards.
 */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** A turn of this length delays others too much. */
const LONG_TURN_MS = 8

let turnSince: number | null = null

/**
 * True once this turn of the event loop has lasted long since the first call in it. The caller then awaits
 * `nextTurn`. All callers share the turn, so that many of them delay others no longer than one.
 */
export function isLongTurn(): boolean {
  const now = performance.now()
  if (turnSince !== null) return now - turnSince > LONG_TURN_MS
  turnSince = now
  setImmediate(() => (turnSince = null))
  return false
}

/** The callers that wait for a turn of their own, in the order in which they came. */
const waiting: (() => void)[] = []

/**
 * Resolves at once, or in a later turn if this one has lasted long. Each waiting caller gets a turn of its
 * own. Never rejects.
 */
export function shortTurn(): Promise<void> {
  if (!isLongTurn()) return Promise.resolve()
  return new Promise(resolve => {
    waiting.push(resolve)
    if (waiting.length === 1) setImmediate(serveNext)
  })
}

function serveNext(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(serveNext)
}

/** Maps items in order, and gives other work a turn in between, however many items there are. */
export async function inTurns<In, Out>(
  all: readonly In[],
  make: (one: In) => Promise<Out> | Out,
): Promise<Out[]> {
  const made: Out[] = []
  for (const one of all) {
    await shortTurn()
    made.push(await make(one))
  }
  return made
}

/**
 * Two-phase shutdown. States: running → draining (the first SIGTERM or SIGINT, or `begin`) → aborting (the
 * deadline, or a second signal) → forced (the process is ended, if it is still there). Work that is done in
 * time simply returns.
 */

import type { Ends } from '@sluice/flow/ends'

export interface ShutdownOptions {
  /** The time from draining to aborting. */
  readonly timeoutMs: number
  /** The time from aborting to forced; default 5 s. */
  readonly forceAfterMs?: number
  /** Called at each phase, with the reason. */
  readonly onPhase?: (phase: 'draining' | 'aborting' | 'forced', why: string) => void
  /** The source of the signals, and the process that ends; default: this process. */
  readonly process?: ProcessLike
}

export interface ProcessLike {
  on(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown
  removeListener(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown
  exit(code: number): void
}

/** The two ends of a shutdown. `abort` never comes before `drain`. */
export interface Shutdown extends Ends, Disposable {
  /** Starts to drain as if a signal had come. A second call changes nothing. */
  begin(why: string): void
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** The exit code that shells give for a process that SIGTERM ended. */
const FORCED_EXIT_CODE = 143

/** The reason with which both signals abort. */
class ShuttingDown extends Error {
  constructor(why: string) {
    super(`shutting down: ${why}`)
    this.name = 'ShuttingDown'
  }
}

/**
 * Listens for signals until disposed. Disposing also clears the deadlines, so that a process that is done can
 * end.
 */
export function createShutdown(options: ShutdownOptions): Shutdown {
  const { timeoutMs, forceAfterMs = 5000, onPhase = () => {}, process: host = process } = options
  const draining = new AbortController()
  const aborting = new AbortController()
  const timers: NodeJS.Timeout[] = []

  const abort = (why: string): void => {
    if (aborting.signal.aborted) return
    onPhase('aborting', why)
    const timer = setTimeout(() => {
      onPhase('forced', `still there ${forceAfterMs} ms after ${why}`)
      host.exit(FORCED_EXIT_CODE)
    }, forceAfterMs)
    // Hanging work keeps the process alive by itself. This timer must not.
    timers.push(timer.unref())
    aborting.abort(new ShuttingDown(why))
  }
  const begin = (why: string): void => {
    if (draining.signal.aborted) return
    onPhase('draining', why)
    timers.push(setTimeout(() => abort(`not drained within ${timeoutMs} ms`), timeoutMs).unref())
    draining.abort(new ShuttingDown(why))
  }
  const listeners = SIGNALS.map(signal => {
    const listener = (): void => {
      if (draining.signal.aborted) abort(`a second signal, ${signal}`)
      else begin(signal)
    }
    host.on(signal, listener)
    return [signal, listener] as const
  })

  return {
    drain: draining.signal,
    abort: aborting.signal,
    begin,
    [Symbol.dispose]() {
      for (const [signal, listener] of listeners) host.removeListener(signal, listener)
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

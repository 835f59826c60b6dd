/** An adapter gives this for the suite of rate limits. */
import type { Grant, RateLimit } from '../src/port.ts'

export interface RateLimitHarness {
  /** Opens an instance over the harness' storage. */
  open(): Promise<RateLimit>
  /** The time that the instances count by, in ms since 1970. */
  now(): number
  /** Lets at least this much time pass on that clock. */
  pass(ms: number): Promise<void>
  /**
   * When, on that clock, a grant that was just handed out has to be used. If the process is held up
   * meanwhile, it says a time before that, never one after: read this clock before that of leases.
   */
  deadline(grant: Granted): number
  /** Closes the instances and removes the storage. */
  close(): Promise<void>
}

export type Granted = Extract<Grant, { kind: 'granted' }>

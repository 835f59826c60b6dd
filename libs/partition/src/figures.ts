/**
 * What the stages count for operators. Counting has no effect on a stage, never waits and never fails. A
 * process without metrics counts nothing.
 */
import type { RunStatus } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import type { StageName } from '@sluice/topics/topics'

export interface Figures {
  /** There is such a sync, whose runs are counted here. */
  known(sync: string): void
  /** A stage began to work on one partition of a sync, or began again after a setback. */
  takenOver(stage: StageName, sync: string): void
  /**
   * So many records of a partition are left to deliver, and the oldest was written so long ago. Null: this
   * process does not work on the partition any more.
   */
  backlog(
    sync: string,
    partition: number,
    left: { readonly requests: number; readonly oldestMs: number } | null,
  ): void
  /** A run of the sync sends to this destination. */
  sends(sync: string, destination: string): void
  /** A token was asked for at the token endpoint of a destination. */
  tokenAsked(destination: string, result: 'granted' | 'refused'): void
  /** Changes of a run are in the topic. */
  published(sync: string, op: Op, changes: number): void
  /** Rows became a request, or could not be rendered. */
  rendered(sync: string, op: Op, result: 'request' | 'unrenderable'): void
  /** So many attempts are about to be written down; `outcome` as there. */
  attempted(sync: string, outcome: string, count: number): void
  /** So many more requests, or fewer, are handed to sockets and not yet answered. */
  inFlight(sync: string, change: number): void
  /** The limits have allowed a request that waited to be sent. */
  leaseWaited(sync: string, ms: number): void
  /** A run has ended. `ms` is how long it took; null if it never began. */
  ended(sync: string, status: RunStatus, ms: number | null): void
  /** So many partitions of a sync are set aside now, or the whole sync (1); 0: it is worked on. */
  setAside(stage: StageName, sync: string, places: number): void
  /** So many processes in a row died at work on the sync, whose schedule pauses; 0: it does not. */
  parked(sync: string, deaths: number): void
  /** This process has found the breaker of a destination open, or closed again. */
  breaker(destination: string, isOpen: boolean): void
}

export const NO_FIGURES: Figures = {
  known: () => undefined,
  takenOver: () => undefined,
  backlog: () => undefined,
  sends: () => undefined,
  tokenAsked: () => undefined,
  published: () => undefined,
  rendered: () => undefined,
  attempted: () => undefined,
  inFlight: () => undefined,
  leaseWaited: () => undefined,
  ended: () => undefined,
  setAside: () => undefined,
  parked: () => undefined,
  breaker: () => undefined,
}

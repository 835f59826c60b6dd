/**
 * What the stages count for operators. Counting has no effect on a stage, never waits and never fails. A
 * process without metrics counts nothing.
 */
import type { RunStatus } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import type { StageName } from '@sluice/topics/topics'

export interface Figures {
  /** A stage began to work on one partition of a sync, or began again after a setback. */
  takenOver(stage: StageName, sync: string): void
  /** Changes of a run are in the topic. */
  published(sync: string, op: Op, changes: number): void
  /** Rows became a request, or could not be rendered. */
  rendered(sync: string, op: Op, result: 'request' | 'unrenderable'): void
  /** An attempt is about to be written down; `outcome` as there. */
  attempted(sync: string, outcome: string): void
  /** Requests handed to sockets and not yet answered: 1 or −1. */
  inFlight(sync: string, change: 1 | -1): void
  /** The limits have allowed a request that waited to be sent. */
  leaseWaited(sync: string, ms: number): void
  ended(sync: string, status: RunStatus): void
  /** So many partitions of a sync are set aside now, or the whole sync (1); 0: it is worked on. */
  setAside(stage: StageName, sync: string, places: number): void
  /** This process has found the breaker of a destination open, or closed again. */
  breaker(destination: string, isOpen: boolean): void
}

export const NO_FIGURES: Figures = {
  takenOver: () => undefined,
  published: () => undefined,
  rendered: () => undefined,
  attempted: () => undefined,
  inFlight: () => undefined,
  leaseWaited: () => undefined,
  ended: () => undefined,
  setAside: () => undefined,
  breaker: () => undefined,
}

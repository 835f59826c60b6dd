/**
 * A request that is taken into work and not finished: what is known of it, and of the parts in which its rows
 * go on (PROTOCOL.md §8).
 *
 * States: in work (a part of it is ready, sent or not yet acknowledged) ⇄ waiting (each open part waits for
 * its next try) → finished.
 */
import type { Request } from '@sluice/contracts/records'
import { attemptBytes, type RequestMemory } from '../delivery-memory.ts'
import { effectsOf, type Effects, type FinishedRequest } from '../outcome/effects.ts'
import {
  withAttempt,
  type EndedRows,
  type PartHistory,
  type RequestHistory,
  type UnownedAttempt,
} from '../ledger/request-history.ts'
import { rowsAt } from '../ledger/parts.ts'
import type { SendJob } from './send-request.ts'

/** What effects need of the whole request. It is in memory only while a part is in work. */
type Whole = Pick<FinishedRequest, 'run' | 'trigger' | 'rows' | 'replayOf'>

export interface TakenAttempt {
  /** As it is to be recorded, with its number. */
  readonly attempt: UnownedAttempt
  /** The parts that follow it. */
  readonly parts: readonly PartHistory[]
  readonly isFinished: boolean
}

export class OpenRequest {
  readonly offset: number
  /** Of the whole request, until it is finished. Parts have their own while they are in work. */
  readonly memory: RequestMemory
  #history: RequestHistory
  /** What the history takes in memory. */
  #knownBytes: number
  /** How many of its parts are in work. */
  inWork = 0

  constructor(offset: number, history: RequestHistory, memory: RequestMemory) {
    this.offset = offset
    this.#history = history
    this.#knownBytes = bytesOf(history.parts) + bytesOf(history.ended)
    this.memory = memory
  }

  get parts(): readonly PartHistory[] {
    return this.#history.parts
  }

  /**
   * Takes an attempt of one of its parts, in the order in which attempts are recorded. Only the last one is
   * final.
   */
  take(made: UnownedAttempt): TakenAttempt {
    const before = this.#history
    const number = made.attempt === 0 ? 0 : before.attempts + 1
    const numbered = made.attempt === number ? made : { ...made, attempt: number }
    this.#history = withAttempt(before, numbered)
    const open = this.#history.parts
    const isFinished = open.length === 0
    // What follows a part stands behind all others.
    const parts = open === before.parts ? [] : open.slice(before.parts.length - 1)
    const at = open === before.parts ? -1 : before.parts.findIndex((part, index) => part !== open[index])
    const replaced = at < 0 ? [] : before.parts.slice(at, at + 1)
    const ended = this.#history.ended.slice(before.ended.length)
    this.#knownBytes += bytesOf(parts) + bytesOf(ended) - bytesOf(replaced)
    const attempt = numbered.final === isFinished ? numbered : { ...numbered, final: isFinished }
    return { attempt, parts, isFinished }
  }

  /** What it writes once it is finished. */
  effects(whole: Whole): Effects {
    const { attempts, requests, ended } = this.#history
    return effectsOf({ ...whole, attempts, requests, ended })
  }

  /** It waits. Of all that it took, only what is known of it is still in memory. */
  waits({ rows }: Pick<Request, 'rows'>): void {
    this.memory.waits({ rows: rows.length > 1 ? rows.length : 0, historyBytes: this.#knownBytes })
  }
}

/** What is known of some of the rows: a part that is open, or that has ended, and its attempt. */
const KNOWN_BYTES = 2_000
const POSITION_BYTES = 8

function bytesOf(known: readonly (PartHistory | EndedRows)[]): number {
  let bytes = 0
  for (const each of known) {
    const attempt = 'attempt' in each ? each.attempt : each.last
    if (each.positions !== null) bytes += KNOWN_BYTES + POSITION_BYTES * each.positions.length
    if (attempt !== null) bytes += attemptBytes(attempt)
  }
  return bytes
}

export interface Ready {
  readonly open: OpenRequest
  readonly job: SendJob
  readonly whole: Whole
  /** Its own, while it is in work. */
  readonly memory: RequestMemory
  /** For how long it has been tried already without a connection that was open in time. */
  readonly lateMs: number
  /** True once the ledger has its next try announced, and it was not sent yet. */
  readonly isAnnounced?: boolean
}

/** A request that is taken into work. */
export interface NewRequest {
  readonly request: Request
  readonly offset: number
  readonly history: RequestHistory
  readonly memory: RequestMemory
}

/**
 * Makes a request, or a part of one, ready for its turn. It has the whole body; the body of a part has to be
 * rendered.
 */
export function readyOf(
  open: OpenRequest,
  part: PartHistory,
  of: {
    readonly request: Request
    readonly memory: RequestMemory
    readonly place: Pick<SendJob, 'partition' | 'runId'>
  },
): Ready {
  const { request, memory, place } = of
  const { positions } = part
  const rows = rowsAt(request.rows, positions)
  const own = positions === null ? request : { ...request, rows, body: null }
  const job = { ...place, request: own, requestOffset: open.offset, history: part }
  const { run, trigger, replayOf } = request
  return { open, job, whole: { run, trigger, rows: request.rows, replayOf }, memory, lateMs: 0 }
}

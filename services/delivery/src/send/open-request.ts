/**
 * A request that is taken into work and not finished: its history, and the parts in which its rows go on
 * (PROTOCOL.md §8).
 *
 * States: in work (a part is ready, sent or not yet acknowledged) ⇄ waiting (each open part waits to be sent
 * again) → finished.
 */
import type { Request } from '@sluice/contracts/records'
import { attemptBytes, type RequestMemory } from '../delivery-memory.ts'
import { effectsOf, type Effects } from '../outcome/effects.ts'
import {
  withAttempt,
  type EndedRows,
  type PartHistory,
  type RequestHistory,
  type UnownedAttempt,
  rowsAt,
} from '../ledger/request-history.ts'
import type { SendJob } from './send-request.ts'

export interface TakenAttempt {
  /** The attempt to record, with its number. */
  readonly attempt: UnownedAttempt
  /** The parts that follow it. */
  readonly parts: readonly PartHistory[]
  readonly isFinished: boolean
}

export class OpenRequest {
  readonly offset: number
  /**
   * The memory of the whole request, until it is finished. Parts have memory of their own while they are in
   * work.
   */
  readonly memory: RequestMemory
  #history: RequestHistory
  #historyBytes: number
  /** The number of its parts that are in work. */
  inWork = 0

  constructor(offset: number, history: RequestHistory, memory: RequestMemory) {
    this.offset = offset
    this.#history = history
    this.#historyBytes = bytesOf(history.parts) + bytesOf(history.ended)
    this.memory = memory
  }

  get parts(): readonly PartHistory[] {
    return this.#history.parts
  }

  /**
   * Takes an attempt of one of its parts. Attempts come in the order in which they are recorded. Only the
   * last attempt is final.
   */
  take(made: UnownedAttempt): TakenAttempt {
    const before = this.#history
    const number = made.attempt === 0 ? 0 : before.attempts + 1
    const numbered = made.attempt === number ? made : { ...made, attempt: number }
    this.#history = withAttempt(before, numbered)
    const open = this.#history.parts
    const isFinished = open.length === 0
    // The parts that follow an attempt are the last ones.
    const parts = open === before.parts ? [] : open.slice(before.parts.length - 1)
    const at = open === before.parts ? -1 : before.parts.findIndex((part, index) => part !== open[index])
    const replaced = at < 0 ? [] : before.parts.slice(at, at + 1)
    const ended = this.#history.ended.slice(before.ended.length)
    this.#historyBytes += bytesOf(parts) + bytesOf(ended) - bytesOf(replaced)
    const attempt = numbered.final === isFinished ? numbered : { ...numbered, final: isFinished }
    return { attempt, parts, isFinished }
  }

  /** Returns its effects, once it is finished. */
  effects(whole: Request): Effects {
    const { attempts, requests, ended } = this.#history
    return effectsOf({ ...whole, attempts, requests, ended })
  }

  /** Keeps only the memory of its state, while all its parts wait. */
  giveBackMemory({ rows }: Pick<Request, 'rows'>): void {
    this.memory.keepState({ rows: rows.length > 1 ? rows.length : 0, historyBytes: this.#historyBytes })
  }
}

/** The size of an open part, or of ended rows, without positions and attempt. */
const PART_BYTES = 2_000
const POSITION_BYTES = 8

function bytesOf(parts: readonly (PartHistory | EndedRows)[]): number {
  let bytes = 0
  for (const each of parts) {
    const attempt = 'attempt' in each ? each.attempt : each.last
    if (each.positions !== null) bytes += PART_BYTES + POSITION_BYTES * each.positions.length
    if (attempt !== null) bytes += attemptBytes(attempt)
  }
  return bytes
}

/** A request, or a part of one, that is in work. */
export interface Ready extends SendJob {
  readonly open: OpenRequest
  /** The whole request, as the topic has it. */
  readonly whole: Request
  /** The memory of this part, or of the whole request. */
  readonly memory: RequestMemory
  /** The time that it has waited, in ms, for connections that were not open in time. */
  readonly lateMs: number
  /** True if the ledger has an intent for its next attempt, which is not sent yet. */
  readonly hasIntent?: boolean
}

/** Makes a request, or a part of one, ready to be sent. The body of a part still has to be rendered. */
export function makeReady(
  open: OpenRequest,
  part: PartHistory,
  { whole, memory, partition, runId }: Pick<Ready, 'whole' | 'memory' | 'partition' | 'runId'>,
): Ready {
  const { positions } = part
  const request = positions === null ? whole : { ...whole, rows: rowsAt(whole.rows, positions), body: null }
  return {
    open,
    whole,
    request,
    requestOffset: open.offset,
    partition,
    runId,
    history: part,
    memory,
    lateMs: 0,
  }
}

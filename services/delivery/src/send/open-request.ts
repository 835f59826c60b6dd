/**
 * A request that is taken into work and not finished: what is known of it, and of the parts in which its rows
 * go on (PROTOCOL.md §8).
 *
 * States: in work (a part of it is ready, sent or not yet acknowledged) ⇄ waiting (each open part waits for
 * its next try) → finished.
 */
import type { Request } from '@sluice/contracts/records'
import type { RequestMemory } from '../delivery-memory.ts'
import { effectsOf, type Effects, type FinishedRequest } from '../outcome/effects.ts'
import {
  withAttempt,
  type PartHistory,
  type RequestHistory,
  type UnownedAttempt,
} from '../ledger/request-history.ts'

/** What effects need of the whole request. It is in memory only while a part is in work. */
export type Whole = Pick<FinishedRequest, 'run' | 'trigger' | 'rows' | 'replayOf'> & Pick<Request, 'twins'>

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
  /** How many of its parts are in work. */
  inWork = 0

  constructor(offset: number, history: RequestHistory, memory: RequestMemory) {
    this.offset = offset
    this.#history = history
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
    const before = this.#history.parts
    const number = made.attempt === 0 ? 0 : this.#history.attempts + 1
    const numbered = made.attempt === number ? made : { ...made, attempt: number }
    this.#history = withAttempt(this.#history, numbered)
    const isFinished = this.#history.parts.length === 0
    const parts = this.#history.parts.filter(part => !before.includes(part))
    const attempt = numbered.final === isFinished ? numbered : { ...numbered, final: isFinished }
    return { attempt, parts, isFinished }
  }

  /** What it writes once it is finished. */
  effects(whole: Whole): Effects {
    const { attempts, requests, ended } = this.#history
    return effectsOf({ ...whole, attempts, requests, ended })
  }

  /** It waits. Of all that it took, only what is known of it is still in memory. */
  waits({ rows, twins = null }: Pick<Request, 'rows'> & Partial<Pick<Request, 'twins'>>): void {
    const { ended, parts } = this.#history
    const attempts = new Set(ended.map(({ attempt }) => attempt))
    for (const { last } of parts) if (last !== null) attempts.add(last)
    const known = { rows: rows.length > 1 ? rows.length : 0, twins: twins?.length ?? 0 }
    this.memory.waits({ ...known, attempts: [...attempts] })
  }
}

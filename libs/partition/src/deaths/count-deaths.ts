/**
 * Counts the deaths of processes that worked on a partition of `requests` or `attempts` (PROTOCOL.md §11). A
 * record, a template or an answer may end the process that works on it, which then cannot say so. Therefore
 * each takeover marker counts the death of its owner beforehand. The count is void if the owner comes further
 * than it began, or writes a record a minute later.
 *
 * Counts are per run, since the next run may have other rows and another template.
 */
import type { DeathsOfRun } from '@sluice/contracts/records'

/** An owner that still writes after this time died of something else than its first record. */
const SURVIVED_MS = 60_000

/** From this many deaths in a row on, an owner works on one row or request at a time. */
const DEATHS_THAT_SUSPECT = 2
/** After this many deaths at one row or request, the run gives it up. */
const DEATHS_THAT_REJECT = 3
/** After this many deaths in all, delivery sends nothing more of the run in this partition. */
const DEATHS_THAT_END = 20
/**
 * After this many deaths in all, no owner takes over the partition in this run. Delivery has a higher limit,
 * since it still has to record the outcomes of the requests.
 */
const DEATHS_THAT_STOP = { requests: DEATHS_THAT_END, attempts: 30 } as const
/** The renderer may have had up to this many unacknowledged records when it died. */
const MAX_AHEAD = 5_000

/** The numbers of owners of a partition that died in a run without having come further. */
export interface Deaths {
  /** The deaths in a row at the offset where the next owner starts. */
  readonly inARow: number
  readonly all: number
}

export const NO_DEATHS: Deaths = { inARow: 0, all: 0 }

/**
 * The last owner of a partition, according to its records. Positions are offsets of its input; −1 for none.
 */
export interface LastOwner {
  /** The counts in its takeover marker; null in one that counts nothing. */
  readonly deaths: DeathsOfRun | null
  /** The offset where it took over, and the offset that it reached. */
  readonly from: number
  readonly position: number
  /** The times at which it wrote its marker, and its last record; ms since 1970. */
  readonly tookOverAt: number
  readonly lastAt: number
}

/**
 * Counts the owners that died in this run without having come further. `isAlive`: the last owner is this
 * process.
 */
export function deathsIn(run: number, owner: LastOwner | null, isAlive: boolean): Deaths {
  const deaths = owner?.deaths ?? null
  if (owner === null || deaths === null || deaths.run !== run) return NO_DEATHS
  const cameFurther = owner.position > owner.from || owner.lastAt - owner.tookOverAt >= SURVIVED_MS
  const { count, all } = cameFurther || isAlive ? withoutOwn(deaths) : deaths
  return { inARow: cameFurther ? 0 : count, all: all ?? count }
}

/**
 * Returns the counts for the marker of the next owner. A partition without work has killed nobody: the owner
 * that died there was waiting.
 */
export function countedBeforehand(
  run: number,
  { inARow, all }: Deaths,
  { hasWork }: { readonly hasWork: boolean },
): DeathsOfRun {
  if (hasWork) return { run, count: inARow + 1, all: all + 1 }
  return { run, count: 1, all: Math.max(1, all) }
}

/** Returns the counts without the owner that wrote them, which has not died. */
export function withoutOwn({ run, count, all }: DeathsOfRun): DeathsOfRun {
  return { run, count: Math.max(0, count - 1), all: Math.max(0, (all ?? count) - 1) }
}

export type DyingStage = 'requests' | 'attempts'

const DOING = { requests: 'rendering', attempts: 'sending, or taking the answer in,' } as const

function diedText(stage: DyingStage, deaths: number): string {
  return `${DOING[stage]} ended the process ${deaths} times`
}

/** Says why a row or request is given up after this many deaths in a row; null if it is not. */
export function givenUpAfter(deaths: number, stage: DyingStage): string | null {
  return deaths >= DEATHS_THAT_REJECT ? `${diedText(stage, deaths)} in a row` : null
}

/** The precautions of an owner in a run in which owners before it died. */
export class Precautions {
  /** Says why delivery sends nothing more of the run; null if it does. */
  readonly ends: string | null
  readonly #inARow: number
  #rejects: string | null
  /** The number of records that are written, or of requests that have begun. */
  #through = 0

  constructor({ inARow, all }: Deaths, stage: DyingStage) {
    this.ends =
      all >= DEATHS_THAT_END
        ? `${diedText(stage, all)} in this run, and its rest is left to the next run`
        : null
    this.#inARow = inARow
    this.#rejects = givenUpAfter(inARow, stage)
  }

  /**
   * True while the renderer waits for the acknowledgement of each record before it renders the next row, so
   * that the next death shows its place.
   */
  get isCautious(): boolean {
    return this.#inARow > 0 && this.#through < MAX_AHEAD
  }

  /**
   * True while an owner finishes one row or request before the next one begins. Otherwise up to `max` are at
   * work together, so any of the first `max` may have ended the process.
   */
  isOneByOne(max: number): boolean {
    return this.isSuspect && this.#through <= max && this.ends === null
  }

  /** True where an owner begins with one row or request at a time. */
  get isSuspect(): boolean {
    return isSuspect({ inARow: this.#inARow })
  }

  /** Counts a record that is written, or a request that begins. */
  goesOn(): void {
    this.#through += 1
  }

  /** Says why the row that begins first is given up; null for every other row. */
  rejection(): string | null {
    const why = this.#rejects
    this.#rejects = null
    return why
  }
}

export const NO_PRECAUTIONS = new Precautions(NO_DEATHS, 'requests')

/** True if too many owners died in this run, so that no further owner may work on it. */
export function areTooMany({ all }: Deaths, stage: DyingStage): boolean {
  return all >= DEATHS_THAT_STOP[stage]
}

/** True where an owner works alone in its process, so that no other owner dies with it. */
export function isSuspect({ inARow }: Pick<Deaths, 'inARow'>): boolean {
  return inARow >= DEATHS_THAT_SUSPECT
}

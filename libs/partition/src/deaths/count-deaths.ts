/**
 * Counts the deaths of processes that were at work on a partition of `requests` or `attempts` (PROTOCOL.md
 * §11). A record, a template or an answer may end the process that works on it. Nobody sees that, since the
 * process is gone. So each takeover marker counts the death of its owner beforehand. Whatever its owner comes
 * to takes that back: a position beyond the one that it took over, or a record that it wrote a minute later.
 *
 * The counts are of one run. The next run may have other rows, and another template.
 */
import type { DeathsOfRun } from '@sluice/contracts/records'

/** What ends a process does so soon. An owner that still wrote after so long has died of something else. */
const SURVIVED_MS = 60_000

/** From so many deaths in a row on, rows and requests are worked on one at a time. */
const DEATHS_THAT_SUSPECT = 2
/** After so many at one row or request, it is given up in this run. */
const DEATHS_THAT_REJECT = 3
/** After so many in all, delivery sends nothing more of the run in this partition. */
const DEATHS_THAT_END = 20
/**
 * After so many in all, nobody takes the partition over in this run. Delivery has more, since it has to write
 * down what became of the requests that are there.
 */
const DEATHS_THAT_STOP = { requests: DEATHS_THAT_END, attempts: 30 } as const
/** The renderer may have had so many records on their way to the log when it died. */
const MAX_AHEAD = 5_000

/** The owners of a partition that died in a run without having come further. */
export interface Deaths {
  /** So many died one after the other, at the place where the next owner goes on. */
  readonly inARow: number
  /** So many in all. */
  readonly all: number
}

export const NO_DEATHS: Deaths = { inARow: 0, all: 0 }

/** The last owner of a partition, as its records tell. Positions are offsets of its input; −1 for none. */
export interface LastOwner {
  /** What its takeover marker counts; null in one that counts nothing. */
  readonly deaths: DeathsOfRun | null
  /** Where it took over, and how far it came. */
  readonly from: number
  readonly position: number
  /** When it wrote its marker, and its last record; ms since 1970. */
  readonly tookOverAt: number
  readonly lastAt: number
}

/** How many owners died in this run without having come further. `isAlive`: this process is the last one. */
export function deathsIn(run: number, owner: LastOwner | null, isAlive: boolean): Deaths {
  const deaths = owner?.deaths ?? null
  if (owner === null || deaths === null || deaths.run !== run) return NO_DEATHS
  const cameFurther = owner.position > owner.from || owner.lastAt - owner.tookOverAt >= SURVIVED_MS
  const { count, all } = cameFurther || isAlive ? withoutOwn(deaths) : deaths
  return { inARow: cameFurther ? 0 : count, all: all ?? count }
}

/**
 * What the marker of the next owner counts. A partition without work has killed nobody: the owner that died
 * there was waiting.
 */
export function countedBeforehand(
  run: number,
  { inARow, all }: Deaths,
  { hasWork }: { readonly hasWork: boolean },
): DeathsOfRun {
  if (hasWork) return { run, count: inARow + 1, all: all + 1 }
  return { run, count: 1, all: Math.max(1, all) }
}

/** The counts without the owner that wrote them, which has not died. */
export function withoutOwn({ run, count, all }: DeathsOfRun): DeathsOfRun {
  return { run, count: Math.max(0, count - 1), all: Math.max(0, (all ?? count) - 1) }
}

export type DyingStage = 'requests' | 'attempts'

const DOING = { requests: 'rendering', attempts: 'sending, or taking the answer in,' } as const

function diedText(stage: DyingStage, deaths: number): string {
  return `${DOING[stage]} ended the process ${deaths} times`
}

/** Why a row or request is given up at which so many processes died in a row; null if it is not. */
export function givenUpAfter(deaths: number, stage: DyingStage): string | null {
  return deaths >= DEATHS_THAT_REJECT ? `${diedText(stage, deaths)} in a row` : null
}

/** What an owner minds in a run in which owners before it died. */
export class Care {
  /** Why delivery sends nothing more of the run; null if it does. */
  readonly ends: string | null
  readonly #inARow: number
  #rejects: string | null
  /** The records that are written, or the requests that have begun. */
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
   * True while the renderer has each record acknowledged before the next row, so that the next death shows
   * its place.
   */
  get isCautious(): boolean {
    return this.#inARow > 0 && this.#through < MAX_AHEAD
  }

  /**
   * True while one row or request is to be finished before the next one begins. `max` may be at work
   * together, and so may have been when the process died.
   */
  isOneByOne(max: number): boolean {
    return this.isSuspect && this.#through <= max && this.ends === null
  }

  /** True where rows or requests go one by one at first. */
  get isSuspect(): boolean {
    return isSuspect({ inARow: this.#inARow })
  }

  /** A record is written, or a request begins. */
  goesOn(): void {
    this.#through += 1
  }

  /** Why the row that begins first is given up; null for every other one. */
  rejection(): string | null {
    const why = this.#rejects
    this.#rejects = null
    return why
  }
}

export const CARELESS = new Care(NO_DEATHS, 'requests')

/** True if so many owners died in this run that nobody is to come after them. */
export function areTooMany({ all }: Deaths, stage: DyingStage): boolean {
  return all >= DEATHS_THAT_STOP[stage]
}

/** True where an owner has to work alone in its process, so that no other one dies with it. */
export function isSuspect({ inARow }: Pick<Deaths, 'inARow'>): boolean {
  return inARow >= DEATHS_THAT_SUSPECT
}

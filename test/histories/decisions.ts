/**
 * The decisions of people in a history. A decision is about what there was when it was made, however many
 * runs carry it out, and allows each row to be sent once.
 */
import type { RunPlan } from './plan.ts'
import type { Topics } from './topics.ts'

interface Failed {
  readonly key: string
  readonly run: number
  readonly seq: number
}

export class Decisions {
  readonly #atMostOnce: boolean
  readonly #onBroken: (what: string) => never
  /** Keys of which a request was sent and nobody knows what became of it. */
  readonly #unsure = new Set<string>()
  /** Those of them that may be sent again, once each. */
  #asked = new Set<string>()
  #unsureBefore = new Set<string>()
  /** The changes that had failed before the last run. */
  #failedBefore: ReadonlySet<string> = new Set()
  #decided: ReadonlySet<string> = new Set()
  /** Keys that the runs for one command have sent so far. */
  readonly #done = new Set<string>()
  /** A decision is about rows whose last change is of a run up to this one. */
  upTo = 0

  constructor(atMostOnce: boolean, onBroken: (what: string) => never) {
    this.#atMostOnce = atMostOnce
    this.#onBroken = onBroken
  }

  /** People have not seen all of a run that is at work. A resync is about all that was sent before. */
  ask({ command, askedBehind }: RunPlan, lastRun: number, failed: readonly Failed[]): void {
    this.upTo = askedBehind && !command.startsWith('resync') ? lastRun - 1 : lastRun
    this.#asked = new Set(command !== 'retry' ? [] : askedBehind ? this.#unsureBefore : this.#unsure)
    this.#decided = askedBehind ? this.#failedBefore : placesOf(failed)
    this.#done.clear()
  }

  runBegins(failed: readonly Failed[]): void {
    this.#unsureBefore = new Set(this.#unsure)
    this.#failedBefore = placesOf(failed)
  }

  sent(key: string): void {
    if (!this.#asked.delete(key)) this.assertKnown(key)
    this.#unsure.add(key)
  }

  known(key: string): void {
    this.#unsure.delete(key)
  }

  /** With `at-most-once`, nobody but a person may end the doubt about a key. */
  assertKnown(key: string): void {
    if (this.#atMostOnce && this.#unsure.has(key))
      this.#onBroken(`${key} was sent or settled while nobody knew what became of it`)
  }

  /** A discard is about rows that had failed when somebody asked for it. */
  assertGivenUp(key: string): void {
    const isMeant = [...this.#failedBefore].some(
      place => place.startsWith(`${key} `) && this.#decided.has(place),
    )
    if (!isMeant) this.#onBroken(`${key} was given up, and failed after that was asked for`)
  }

  /** True once for each key and command. */
  isFirstFor(key: string): boolean {
    const isFirst = !this.#done.has(key)
    this.#done.add(key)
    return isFirst
  }
}

/** The changes that failed, also those whose entry a stage that was set aside has still to write. */
export function failedIn(topics: readonly Topics[], left: readonly Failed[]): readonly Failed[] {
  return [...left, ...topics.flatMap(({ retry }) => [...retry].map(([key, of]) => ({ ...of, key })))]
}

function placesOf(failed: readonly Failed[]): ReadonlySet<string> {
  return new Set(failed.map(({ key, run, seq }) => `${key} ${run} ${seq}`))
}

/** How old the oldest request is that is not finished. */

/** Requests that were written within a second are as old as the first of them. */
const STEP_MS = 1_000
/** A run may be under way for days. Its middle is then known less exactly. */
const MOST_MARKS = 4_096

interface Mark {
  readonly offset: number
  readonly writtenAt: number
}

export class OldestRequest {
  #marks: Mark[] = []

  /** Notes a request that is taken into work. Offsets rise. `writtenAt` is in ms since 1970. */
  taken(offset: number, writtenAt: number): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && writtenAt - last.writtenAt < STEP_MS) return
    this.#marks.push({ offset, writtenAt })
    if (this.#marks.length > MOST_MARKS) this.#marks = this.#marks.filter((_, index) => index % 2 === 0)
  }

  /** When the request at the position was written; null if none was taken at or above it. */
  writtenAt(position: number): number | null {
    const at = this.#marks.findLastIndex(({ offset }) => offset <= position)
    if (at > 0) this.#marks.splice(0, at)
    return this.#marks[0]?.writtenAt ?? null
  }
}

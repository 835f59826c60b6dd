/**
 * The changes of a stream that delivery has not finished: one for each key, as long as nothing was heard of
 * it.
 */
import { formOf } from '@sluice/domain/key-form'

interface KeyInFlight<W> {
  readonly slice: number
  readonly partition: number
  readonly wanted: W
  readonly bytes: number
}

interface SliceInFlight {
  readonly slice: number
  readonly keys: readonly string[]
  /** The offset behind its marker in `changes`; null until that is acknowledged. */
  end: number | null
}

export class InFlight<W> {
  readonly #keys = new Map<string, KeyInFlight<W>>()
  /** By form, how many keys are in flight that are not their own form. Most keys are. */
  readonly #forms = new Map<string, number>()
  /** By partition, the slices that were not heard of, the oldest first. */
  readonly #slices: readonly SliceInFlight[][]
  #bytes = 0

  constructor(partitions: number) {
    this.#slices = Array.from({ length: partitions }, () => [])
  }

  /** True if no change is in flight, and no marker either. */
  get isEmpty(): boolean {
    return this.#keys.size === 0
  }

  get size(): number {
    return this.#keys.size
  }

  /** Roughly the bytes of their rows. */
  get bytes(): number {
    return this.#bytes
  }

  /** True if a key of this form is in flight. */
  hasForm(form: string): boolean {
    return this.#keys.has(form) || this.#forms.has(form)
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** Returns what the source had of the key when its change was published. */
  wantedOf(key: string): W | undefined {
    return this.#keys.get(key)?.wanted
  }

  /** Yields what the source had of the keys, with the slice of each. */
  *all(): Generator<KeyInFlight<W>> {
    yield* this.#keys.values()
  }

  add(
    slice: number,
    partition: number,
    changes: readonly { readonly key: string; readonly wanted: W; readonly bytes: number }[],
  ): void {
    for (const { key, wanted, bytes } of changes) {
      this.#keys.set(key, { slice, partition, wanted, bytes })
      this.#bytes += bytes
      const form = formOf(key)
      if (form !== key) this.#forms.set(form, (this.#forms.get(form) ?? 0) + 1)
    }
    this.#slices[partition]?.push({ slice, keys: changes.map(({ key }) => key), end: null })
  }

  /** The marker of the slice is acknowledged in this partition. */
  acknowledged(slice: number, partition: number, end: number): void {
    const found = this.#slices[partition]?.find(each => each.slice === slice)
    if (found !== undefined) found.end = end
  }

  /**
   * Returns the offset in `changes` behind the newest acknowledged slice up to this one; null if there is
   * none that was not heard of. A marker may be passed on before its writer knows that it is acknowledged.
   */
  endOf(slice: number, partition: number): { readonly slice: number; readonly end: number } | null {
    let last: { readonly slice: number; readonly end: number } | null = null
    for (const each of this.#slices[partition] ?? []) {
      if (each.slice > slice || each.end === null) break
      last = { slice: each.slice, end: each.end }
    }
    return last
  }

  /** Delivery has finished the slices of a partition up to this one. Returns their keys. */
  heard(slice: number, partition: number): readonly string[] {
    const slices = this.#slices[partition] ?? []
    const keys: string[] = []
    while ((slices[0]?.slice ?? Infinity) <= slice)
      for (const key of slices.shift()?.keys ?? []) {
        const known = this.#keys.get(key)
        if (known === undefined) continue
        this.#keys.delete(key)
        this.#bytes -= known.bytes
        keys.push(key)
        const form = formOf(key)
        if (form === key) continue
        const left = (this.#forms.get(form) ?? 1) - 1
        if (left > 0) this.#forms.set(form, left)
        else this.#forms.delete(form)
      }
    return keys
  }
}

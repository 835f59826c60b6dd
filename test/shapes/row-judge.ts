/** Judges what arrives: each row by every byte, and each pass by which rows came how often. */
import type { Op } from '@sluice/contracts/state'
import { isSelected, OPS, rowJson, type Pass, type Shape } from './shape.ts'

const SAMPLES = 8
const SHOWN_CHARS = 80
const MAX_COUNTED = 255

export interface Verdict {
  readonly requests: number
  readonly rows: number
  readonly bytes: number
  /** Bodies that are not, byte for byte, what the formula gives for their rows. */
  readonly wrong: number
  /** Rows that came less often than they have to, and more often. */
  readonly missing: number
  readonly repeated: number
  /** The first of what is wrong, for people. */
  readonly samples: readonly string[]
}

/** Counts how often each row came in the present pass, and notes its mistakes. */
export class RowJudge {
  readonly #shape: Shape
  readonly #counts: { readonly [op in Op]: Uint8Array }
  #pass: Pass
  #figures = { requests: 0, rows: 0, bytes: 0, wrong: 0 }
  #samples: string[] = []

  constructor(shape: Shape, pass: Pass) {
    this.#shape = shape
    this.#pass = pass
    const counts = (): Uint8Array => new Uint8Array(shape.rows + 1)
    this.#counts = { added: counts(), changed: counts(), removed: counts() }
  }

  get pass(): Pass {
    return this.#pass
  }

  begin(pass: Pass): void {
    this.#pass = pass
    this.#figures = { requests: 0, rows: 0, bytes: 0, wrong: 0 }
    this.#samples = []
    for (const op of OPS) this.#counts[op].fill(0)
  }

  /** Takes a request; says whether its first row has not come before in this pass. */
  take(op: string | undefined, body: Buffer): { readonly isFirst: boolean } {
    this.#figures.requests += 1
    this.#figures.bytes += body.length
    const known = OPS.find(each => each === op)
    if (known === undefined) return this.#reject(`a request to /${String(op)}`)
    const numbers = rowNumbers(body, this.#shape)
    if (typeof numbers === 'string') return this.#reject(`${known}: ${numbers}`)
    const counts = this.#counts[known]
    const isFirst = counts[numbers[0] ?? 0] === 0
    for (const n of numbers) counts[n] = Math.min((counts[n] ?? 0) + 1, MAX_COUNTED)
    this.#figures.rows += numbers.length
    const rows = numbers.map(n => rowJson(this.#shape, known, n, this.#pass)).join(',')
    const expected = Buffer.from(this.#shape.batch === null ? rows : `[${rows}]`)
    if (!expected.equals(body)) this.#reject(`${known}: ${difference(expected, body)}`)
    return { isFirst }
  }

  /** The verdict on the pass so far. */
  judge(): Verdict {
    let missing = 0
    let repeated = 0
    for (const op of OPS) {
      const expected = this.#pass.expect[op]
      const counts = this.#counts[op]
      for (let n = 1; n <= this.#shape.rows; n += 1) {
        const wanted = expected !== undefined && isSelected(expected.rows, n) ? expected.sends : 0
        const found = counts[n] ?? 0
        if (found === wanted) continue
        if (found < wanted) missing += 1
        else repeated += 1
        this.#sample(`${op}: row ${n} came ${found} times, not ${wanted}`)
      }
    }
    return { ...this.#figures, missing, repeated, samples: this.#samples }
  }

  #reject(why: string): { readonly isFirst: false } {
    this.#figures.wrong += 1
    this.#sample(why)
    return { isFirst: false }
  }

  #sample(text: string): void {
    if (this.#samples.length < SAMPLES) this.#samples.push(text)
  }
}

/** The numbers of the rows in a body, or what is wrong with it. */
function rowNumbers(body: Buffer, { batch, rows }: Shape): readonly number[] | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString())
  } catch (error) {
    return `no JSON (${String(error)}): ${shown(body, 0)}`
  }
  const list: readonly unknown[] | null = batch === null ? [parsed] : Array.isArray(parsed) ? parsed : null
  if (list === null || list.length === 0) return `no row in it: ${shown(body, 0)}`
  const numbers: number[] = []
  for (const row of list) {
    const n: unknown = typeof row === 'object' && row !== null && 'n' in row ? row.n : undefined
    if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > rows)
      return `no such row: ${shown(body, 0)}`
    numbers.push(n)
  }
  return numbers
}

/** The place where two bodies begin to differ, and the text there. */
function difference(expected: Buffer, found: Buffer): string {
  let at = 0
  while (at < expected.length && expected[at] === found[at]) at += 1
  const from = Math.max(0, at - 20)
  return `byte ${at} of ${found.length}: expected ${shown(expected, from)}, found ${shown(found, from)}`
}

function shown(bytes: Buffer, from: number): string {
  return JSON.stringify(bytes.toString('utf8', from, from + SHOWN_CHARS))
}

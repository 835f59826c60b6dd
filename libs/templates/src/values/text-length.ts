import type { Frame } from '../liquid/frame.ts'

const SURROGATE = /[\ud800-\udfff]/

/** Counts the characters of a text. An emoji is one, though JavaScript counts two. */
export function lengthOf(text: string, frame: Frame | null): number {
  if (!SURROGATE.test(text)) return text.length
  frame?.charge(text.length)
  let length = 0
  for (const _ of text) length += 1
  return length
}

/** Returns the characters of a text from `from` up to `to`, counted as `lengthOf` counts. */
export function charactersOf(text: string, from: number, to: number): string {
  if (!SURROGATE.test(text)) return text.slice(from, to)
  return [...text].slice(from, to).join('')
}

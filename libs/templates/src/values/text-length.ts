import type { Frame } from '../liquid/frame.ts'

const SURROGATE = /[\ud800-\udfff]/

/** How many characters a text has: an emoji is one, though JavaScript counts two. */
export function lengthOf(text: string, frame: Frame | null): number {
  if (!SURROGATE.test(text)) return text.length
  frame?.charge(text.length)
  let length = 0
  for (const _ of text) length += 1
  return length
}

/** The characters of a text from one place to another, as counted so. */
export function charactersOf(text: string, from: number, to: number): string {
  if (!SURROGATE.test(text)) return text.slice(from, to)
  return [...text].slice(from, to).join('')
}

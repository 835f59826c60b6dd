import { Decimal } from '@sluice/contracts/values'
import { printableLine } from './printable.ts'

const MAX_SHOWN = 40

/** A value as messages name it: its kind, and the value itself if it is short. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return `the text ${JSON.stringify(shortened(value))}`
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Decimal)
    return `the number ${shortened(String(value))}`
  if (typeof value === 'boolean') return String(value)
  if (value instanceof Uint8Array) return 'bytes'
  return Array.isArray(value) ? 'a list' : 'a map'
}

/** A text out of a row as messages show it: its beginning, on one line. */
export function shortened(text: string): string {
  return printableLine(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)
}

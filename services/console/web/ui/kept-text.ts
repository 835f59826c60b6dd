/** An unsaved text that the browser keeps, with the version that its edit started from. */
import { storedText, storeText } from './storage.ts'

export interface KeptText {
  readonly text: string
  /** Null for a new resource, and if the server keeps no versions. */
  readonly version: number | null
}

const placeOf = (name: string): string => `sluice.text.${name}`

/** Null if nothing is kept, and in a browser without storage. */
export function keptText(name: string): KeptText | null {
  return parseKeptText(storedText(placeOf(name)))
}

export function parseKeptText(written: string | null): KeptText | null {
  let kept: unknown
  try {
    kept = JSON.parse(written ?? 'null')
  } catch {
    return null
  }
  if (typeof kept !== 'object' || kept === null || !('text' in kept) || !('version' in kept)) return null
  const { text, version } = kept
  if (typeof text !== 'string' || !(version === null || typeof version === 'number')) return null
  return { text, version }
}

/** Null removes the kept text. */
export function keepText(name: string, kept: KeptText | null): void {
  storeText(placeOf(name), kept === null ? null : JSON.stringify(kept))
}

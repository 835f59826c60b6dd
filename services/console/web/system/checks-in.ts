/** Reads the checks in the answer of `/readyz`. A proxy in front of the server may answer with any text. */
import { fieldsOf } from '../ui/fields-of.ts'

export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string | null
  /** ISO 8601. Null from servers of earlier versions. */
  readonly since: string | null
}

export function checksIn(text: string): readonly Check[] {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return []
  }
  return Object.entries(fieldsOf(fieldsOf(said)['checks'])).map(([name, check]) => {
    const { ok, detail, since } = fieldsOf(check)
    return { name, ok: ok === true, detail: textOf(detail), since: textOf(since) }
  })
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

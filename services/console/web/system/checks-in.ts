/** The checks that `/readyz` answers with. A proxy in front of the server may answer with anything. */

export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string | null
  /** ISO 8601; null from servers of earlier versions. */
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

function fieldsOf(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** The place of a name in a model's SQL, for databases whose errors have a name and no place. */
import type { SqlPlace } from '../duckdb/errors.ts'

/** Returns the place of a name that occurs exactly once, else null. Of `a.b`, `b` counts, too. */
export function placeOfName(name: string, sql: string): SqlPlace | null {
  for (const candidate of [name, name.split('.').at(-1) ?? name]) {
    const escaped = candidate.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    const found = [...sql.matchAll(new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`, 'gi'))]
    if (found.length === 1) return placeAt(found[0]?.index ?? 0, sql)
  }
  return null
}

/** Turns an offset into a place. Places count characters, not UTF-16 units. */
export function placeAt(offset: number, sql: string): SqlPlace {
  const lines = sql.slice(0, offset).split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}

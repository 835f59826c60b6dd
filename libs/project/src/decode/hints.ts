/** Hints that a message about a field adds if they are likely to name what the person meant. */
import type { FieldPath } from './places.ts'
import { shapeOf } from './schema-shape.ts'
import type { Schema } from './schema-shape.ts'
import { described } from '../yaml/scalars.ts'
import { isMap, isSeq } from 'yaml'
import { z } from 'zod'

export function mismatchHint(node: unknown, schema: Schema, path: FieldPath): string {
  const isJson = path.at(-1) === 'json' || path.at(-1) === 'wrap'
  if (isJson && (isMap(node) || isSeq(node)) && shapeOf(schema).kind === 'text')
    return ' (quote JSON, or write it as a block after `|`)'
  const empty = !isMap(node) && !isSeq(node) && described(node) === 'nothing'
  return empty && z.safeParse(schema, {}).success ? ' (write `{}` for the defaults)' : ''
}

export function quoteEmptyHint(schemas: readonly Schema[]): string {
  return schemas.some(schema => z.safeParse(schema, '').success) ? ' (write "" for empty text)' : ''
}

/** The message about a scalar that no schema accepts. */
import { type Scalar, isMap, isSeq } from 'yaml'
import { z } from 'zod'
import type { FilledText } from '../files/fill-references.ts'
import { foundText, described } from '../yaml/scalars.ts'
import { meantBy } from './meant.ts'
import { didYouMean, type FieldPath } from './places.ts'
import { shapeOf, type Schema } from './schema-shape.ts'

/** Says what is wanted and what was found. */
export function scalarMessage(
  node: Scalar,
  filled: FilledText,
  { wanted, schemas, path }: { wanted: string; schemas: readonly Schema[]; path: FieldPath },
): string {
  const text = filled.text
  const literals = schemas.flatMap(schema => {
    const shape = shapeOf(schema)
    return shape.kind === 'literals' ? shape.values.map(String) : []
  })
  const empty = text === '' && node.type === 'PLAIN'
  if (empty) return `wanted ${wanted}, found nothing${quoteEmptyHint(schemas)}`
  const shapes = schemas.map(schema => shapeOf(schema).kind)
  // A person may have written a password in clear here, so the message does not show the text.
  if (path.at(-1) === 'password' || path.at(-1) === 'secret')
    return `wanted ${wanted}, found another text (not shown)`
  const meant = meantBy(node, path)
  return `wanted ${wanted}, found ${foundText(node, filled, shapes)}${meant === '' ? didYouMean(text, literals) : meant}`
}

/** Hints that a message about a field adds if they are likely to name what the person meant. */
export function mismatchHint(node: unknown, schema: Schema, path: FieldPath): string {
  const isJson = path.at(-1) === 'json' || path.at(-1) === 'wrap'
  if (isJson && (isMap(node) || isSeq(node)) && shapeOf(schema).kind === 'text')
    return ' (quote JSON, or write it as a block after `|`)'
  const empty = !isMap(node) && !isSeq(node) && described(node) === 'nothing'
  return empty && z.safeParse(schema, {}).success ? ' (write `{}` for the defaults)' : ''
}

function quoteEmptyHint(schemas: readonly Schema[]): string {
  return schemas.some(schema => z.safeParse(schema, '').success) ? ' (write "" for empty text)' : ''
}

/** The message about a scalar that no schema accepts. */
import type { Scalar } from 'yaml'
import type { FilledText } from '../files/fill-references.ts'
import { foundText } from '../yaml/scalars.ts'
import { quoteEmptyHint } from './hints.ts'
import { meantBy } from './meant.ts'
import { isValueNotYet, NOT_YET } from './not-yet.ts'
import { didYouMean, fieldName } from './places.ts'
import type { FieldPath } from './places.ts'
import { shapeOf } from './schema-shape.ts'
import type { Schema } from './schema-shape.ts'

/** Says what is wanted and what was found. */
export function scalarMessage(
  node: Scalar,
  filled: FilledText,
  {
    wanted,
    schemas,
    path,
    kind,
  }: { wanted: string; schemas: readonly Schema[]; path: FieldPath; kind: string },
): string {
  const text = filled.text
  if (isValueNotYet(kind, path, text)) {
    return `\`${fieldName(path.slice(-1))}: ${text}\` is ${NOT_YET}; wanted ${wanted}`
  }
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

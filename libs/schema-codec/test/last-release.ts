/**
 * The schemas of the last release, kept in a file. `npx node libs/schema-codec/test/last-release.ts` writes
 * those of this version into it, once this version is released.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import type { Column, ColumnType } from '@sluice/contracts/values'

const FILE = new URL('last-release.json', import.meta.url)

const PLAIN = [
  ...(['boolean', 'integer', 'long', 'float', 'double', 'text', 'bytes', 'uuid', 'date'] as const),
  ...(['time', 'interval', 'json'] as const),
]
const TYPES: readonly ColumnType[] = [
  ...PLAIN.map(kind => ({ kind })),
  { kind: 'timestamp', zone: true },
  { kind: 'timestamp', zone: false },
  { kind: 'decimal', precision: 20, scale: 4 },
]
const COLUMNS: readonly Column[] = [
  ...TYPES.map((type, place) => ({ name: `column ${place}`, type })),
  ...TYPES.map((of, place) => ({ name: `list ${place}`, type: { kind: 'list', of } as const })),
  { name: 'struct', type: { kind: 'struct', fields: [{ name: 'a part', type: { kind: 'text' } }] } },
]

type Schemas = { readonly [name: string]: AvroRecordSchema }

/**
 * The schemas of this version: those that all syncs share, and a change of rows with columns of every type.
 */
export function presentSchemas(): Schemas {
  return { ...SCHEMAS, Change: changeSchema(COLUMNS) }
}

/** The same schemas, as the last release had them. */
export function schemasOfLastRelease(): Schemas {
  const schemas: Schemas = JSON.parse(readFileSync(FILE, 'utf8'))
  return schemas
}

if (import.meta.main) writeFileSync(FILE, `${JSON.stringify(presentSchemas(), null, 1)}\n`)

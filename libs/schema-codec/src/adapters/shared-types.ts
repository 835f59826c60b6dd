/**
 * Types by their schemas. To make one takes milliseconds, since avsc compiles code for it, and a process
 * often reads the schemas that it writes.
 */
import { RecentMap } from '@sluice/flow/recent-map'
import { avroType } from './avro.ts'
import type { AvscType } from './avsc.ts'

/** A type of a row with many columns takes some hundred kilobytes. */
const MOST_TYPES = 100

const made = new RecentMap<string, AvscType>({ limit: MOST_TYPES })

/** As `avroType`. Schemas of the same text have one type, which keeps nothing of what it reads and writes. */
export function sharedType(schema: object): AvscType {
  const text = JSON.stringify(schema)
  const known = made.get(text)
  if (known !== undefined) return known
  const type = avroType(schema)
  made.set(text, type)
  return type
}

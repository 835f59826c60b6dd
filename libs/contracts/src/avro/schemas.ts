/** The Avro schemas of all records, by name. */
import { alertRecord, definitionRecord, resourceRecord, secretRecord } from '../document-records.ts'
import {
  attempt,
  captured,
  changeOf,
  marker,
  request,
  retryEntry,
  slice,
  streamPosition,
  unrenderable,
  type Change,
} from '../records.ts'
import { command, partitionReport, runEvent } from '../run-records.ts'
import { testAttempt, testRequest } from '../test-records.ts'
import type { Column, Row } from '../values.ts'
import { rowSchema } from './row.ts'
import type { AvroRecordSchema, Typed } from './types.ts'

/** The schemas that are the same for all syncs. The schema of a change depends on its model. */
export const SCHEMAS = {
  Marker: marker.schema,
  Request: request.schema,
  Unrenderable: unrenderable.schema,
  Attempt: attempt.schema,
  RetryEntry: retryEntry.schema,
  Captured: captured.schema,
  Slice: slice.schema,
  StreamPosition: streamPosition.schema,
  Command: command.schema,
  RunEvent: runEvent.schema,
  PartitionReport: partitionReport.schema,
  ResourceRecord: resourceRecord.schema,
  SecretRecord: secretRecord.schema,
  DefinitionRecord: definitionRecord.schema,
  AlertRecord: alertRecord.schema,
  TestRequest: testRequest.schema,
  TestAttempt: testAttempt.schema,
} as const

/** The type of a record by the name of its schema, without the namespace. */
export type RecordTypes = {
  readonly [N in keyof typeof SCHEMAS]: NonNullable<(typeof SCHEMAS)[N]['value']> extends () => infer V
    ? V
    : never
} & { readonly Change: Change }
export type RecordName = keyof RecordTypes

/**
 * The schema of `sluice.Change` for a model with these columns; `before` and `after` hold its rows as
 * `sluice.Row`.
 */
export function changeSchema(columns: readonly Column[]): AvroRecordSchema {
  const row: Typed<Row> = { schema: rowSchema(columns) }
  return changeOf(row).schema
}

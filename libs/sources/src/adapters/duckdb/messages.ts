/**
 * The messages between the detector's process and a query's process: one task and one answer, each a line of
 * JSON. The detector does not trust the answer. So the schema checks it, and its reader limits its length.
 */
import { rm } from 'node:fs/promises'
import { ERROR_CODES } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { FileSourceSpec } from '@sluice/contracts/source-types'
import type { ColumnType } from '@sluice/contracts/values'
import { z } from 'zod'

/** The suffix of the file that a result of many rows is written to first. */
export const OF_MANY = '.many'

/** Removes all files that a query may leave where its result goes. */
export async function removeResult(file: string): Promise<void> {
  const files = [file, `${file}.wal`, `${file}${OF_MANY}`]
  await Promise.all(files.map(path => rm(path, { force: true })))
}

export interface Task {
  readonly model: ModelSpec
  readonly source: {
    readonly name: string
    readonly type: FileSourceSpec['type']
    /** The folder, or the database file, as the user knows it. */
    readonly path: string
    /** The same path without links. */
    readonly realPath: string
    readonly isDatabase: boolean
  }
  /** The path for the result; null if only its columns are wanted. */
  readonly file: string | null
  readonly tempDirectory: string
  /** DuckDB's memory limit. */
  readonly memoryBytes: number
  readonly threads: number
  /** True if many rows may have the layout for many rows. Wide rows take too much memory with it. */
  readonly forManyRows: boolean
  /** The bytes that DuckDB may write to temporary files. */
  readonly spillBytes: number
}

const MAX_NAME = 100_000
const MAX_TEXT = 1_000_000
/** A model of more files and folders than this is read in each run, even if none of them changed. */
export const MAX_SEEN = 200

const columnType: z.ZodType<ColumnType> = z.lazy(() =>
  z.union([
    z.object({
      kind: z.enum([
        ...(['boolean', 'integer', 'long', 'float', 'double', 'text'] as const),
        ...(['bytes', 'uuid', 'date', 'time', 'interval', 'json'] as const),
      ]),
    }),
    z.object({ kind: z.literal('timestamp'), zone: z.boolean() }),
    z.object({
      kind: z.literal('decimal'),
      precision: z.int().min(1).max(38),
      scale: z.int().min(0).max(38),
    }),
    z.object({ kind: z.literal('list'), of: columnType }),
    z.object({ kind: z.literal('struct'), fields: z.array(column) }),
  ]),
)
const column = z.object({ name: z.string().max(MAX_NAME), type: columnType })

const detail = z.object({
  file: z.string().max(MAX_TEXT).exactOptional(),
  line: z.int().min(1).exactOptional(),
  column: z.int().min(1).exactOptional(),
  field: z.string().max(MAX_NAME).exactOptional(),
  message: z.string().max(MAX_TEXT),
})

export const answer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('columns'), columns: z.array(column) }),
  z.object({
    kind: z.literal('rows'),
    rowCount: z.int().min(0),
    /**
     * The states of files and folders. The rows stay the same as long as these do. Null if that is uncertain.
     */
    seen: z
      .array(z.tuple([z.string().max(MAX_TEXT), z.string().max(MAX_NAME)]))
      .max(MAX_SEEN)
      .nullable(),
  }),
  z.object({
    kind: z.literal('failed'),
    code: z.enum(ERROR_CODES),
    message: z.string().max(MAX_TEXT),
    retryable: z.boolean(),
    details: z.array(detail).max(1000),
    /** True if more memory might help. */
    lacksMemory: z.boolean(),
  }),
])
export type Answer = z.output<typeof answer>

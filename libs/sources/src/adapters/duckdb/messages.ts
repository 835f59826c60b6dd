/**
 * What the detector's process and a query's process tell each other: one task, and one answer, each a line of
 * JSON. The detector does not trust the answer. So it is checked here, and its length where it is read.
 */
import { ERROR_CODES } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { ColumnType } from '@sluice/contracts/values'
import { z } from 'zod'

/** The end of the name of a file that is the result once it is known to have many rows. */
export const OF_MANY = '.many'

/** The files that a query may leave where its result goes. */
export function resultFiles(file: string): readonly string[] {
  return [file, `${file}.wal`, `${file}${OF_MANY}`]
}

export interface Task {
  readonly model: ModelSpec
  readonly source: {
    readonly name: string
    /** The folder, or the .duckdb file, as the user knows it. */
    readonly path: string
    /** The same without links. */
    readonly realPath: string
    readonly isDatabase: boolean
  }
  /** Where the result goes. Null: only its columns are wanted. */
  readonly file: string | null
  readonly tempDirectory: string
  /** As DuckDB writes sizes. */
  readonly memoryLimit: string
  readonly threads: number
  /** True if many rows may be laid out as such. If these are wide, it takes too much memory. */
  readonly forManyRows: boolean
  /** Most bytes of the files that DuckDB writes what does not fit into memory to. */
  readonly spillBytes: number
}

const MAX_NAME = 100_000
const MAX_TEXT = 1_000_000
/** At most so many files and folders tell whether a model has to be read. */
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
    /** The states of the files. While they are the same, so are the rows. Null: nobody can know that. */
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

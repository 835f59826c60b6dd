/** Reads some rows of a model, for people who are writing it. */
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import { SluiceError } from '@sluice/contracts/errors'
import type { Source } from '../port.ts'
import { saysOutOfMemory } from './duckdb/errors.ts'
import { DuckdbSession } from './duckdb/session.ts'
import { quoteIdentifier, quoteText } from './duckdb/types.ts'

const MEMORY_LIMIT = '64MB'
/** Rows beyond this many characters of JSON are left out. */
const MAX_CHARACTERS = 4_000_000
const TOO_LARGE = 'The rows are too large to be shown: select shorter columns, or fewer rows.'

/** Limits each query of a source to some rows. */
export function limitedSource(source: Source, rows: number): Source {
  return {
    describe: (model, options) => source.describe(model, options),
    extract: (model, options) => source.extract(model, { ...options, sample: rows }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
}

export interface SampledRows {
  readonly columns: readonly Column[]
  readonly rows: readonly { readonly [column: string]: unknown }[]
  /** True if the query has more rows. */
  readonly more: boolean
  /** The columns that tell the rows apart, if the model leaves them to the source. */
  readonly key?: readonly string[]
}

/**
 * Reads at most `rows` rows of a query, with a limit of characters. `file` is a path that does not exist yet.
 */
export async function readSample(
  source: Source,
  options: {
    readonly model: ModelSpec
    readonly rows: number
    readonly file: string
    readonly signal: AbortSignal
  },
): Promise<SampledRows> {
  const { model, rows, file, signal } = options
  // One further row shows if there are more.
  const { columns, primaryKey: key } = await source.extract(model, { file, signal, sample: rows + 1 })
  const limits = { memoryLimit: MEMORY_LIMIT, threads: 1, tempDirectory: `${file}.rows` }
  await using session = await DuckdbSession.open('/', limits)
  const { connection } = session
  await connection.run(`ATTACH ${quoteText(file)} AS sampled (TYPE duckdb, READ_ONLY)`)
  await session.closeOff([])
  const named = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const sql = `SELECT CAST(to_json(sample) AS VARCHAR) FROM (SELECT ${named} FROM sampled.main.rows) AS sample LIMIT ${rows + 1}`
  const reader = await session
    .interruptible(signal, () => connection.runAndReadAll(sql))
    .catch((error: unknown) => {
      signal.throwIfAborted()
      if (!saysOutOfMemory(error)) throw error
      throw new SluiceError('too-large', TOO_LARGE, { cause: error })
    })
  const texts = reader.getRows().map(([text]) => String(text))
  let characters = 0
  const fitting = texts.slice(0, rows).filter(text => (characters += text.length) <= MAX_CHARACTERS)
  const more = texts.length > fitting.length
  return { columns, rows: fitting.map(parseRow), more, ...(key === undefined ? {} : { key }) }
}

/** Parses a row. Numbers that JavaScript would round become texts. */
function parseRow(text: string): { readonly [column: string]: unknown } {
  const exact = (_name: string, value: unknown, { source }: { readonly source?: string }): unknown =>
    typeof value === 'number' && source !== undefined && !isExact(value, source) ? source : value
  return JSON.parse(text, exact as Parameters<typeof JSON.parse>[1]) as { readonly [column: string]: unknown }
}

function isExact(value: number, source: string): boolean {
  const digits = source.replace(/[-.]|e.*$/gi, '').replace(/^0+/, '')
  return Number.isFinite(value) && (digits.length <= 15 || String(value) === source)
}

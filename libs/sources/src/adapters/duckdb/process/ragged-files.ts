/**
 * Finds a CSV file whose lines differ in their number of fields. DuckDB reads each line of that file as one
 * field, and only says that a column of the query does not exist.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { modelFirst } from '../../query/model-columns.ts'
import { duckdbMessage } from '../errors.ts'
import { CSV_FILES } from '../file-references.ts'
import { quoteText } from '../types.ts'

const DELIMITERS = [',', ';', '\t', '|']
const COUNTS = /CSV Error on Line: (\d+)[\s\S]*Expected Number of Columns: (\d+) Found: (\d+)/
/** Options that read each line as one text. No file has the delimiter. */
const AS_LINES = "auto_detect = false, delim = chr(1), quote = '', escape = '', columns = { line: 'VARCHAR' }"

/** Returns the error for the first file whose lines differ, with the line. Null if there is none. */
export async function raggedFile(
  connection: DuckDBConnection,
  files: readonly string[],
  model: ModelSpec,
): Promise<SluiceError | null> {
  for (const file of files.filter(name => CSV_FILES.test(name))) {
    if (!(await isOneColumn(connection, file))) continue
    const odd = await oddLine(connection, file)
    if (odd === null) continue
    const { delimiter, line, wanted, found } = odd
    const by = delimiter === '\t' ? 'tab' : `\`${delimiter}\``
    const message =
      `${modelFirst(model.name)} reads the file ${file}, whose lines differ in their number of fields: the first one has ${wanted} by ${by}, and line ${line} has ${found}. ` +
      'Mend the file, or let the query say how it is read: `skip = 2` in read_csv if it begins with two lines that are no rows, `null_padding = true` if lines leave out their last fields.'
    return new SluiceError('query', message, { details: [{ file, field: 'sql', message }] })
  }
  return null
}

async function isOneColumn(connection: DuckDBConnection, file: string): Promise<boolean> {
  return await connection.runAndReadAll(`DESCRIBE FROM read_csv(${quoteText(file)}, skip = 0)`).then(
    reader => reader.getRows().length === 1,
    () => false,
  )
}

interface OddLine {
  readonly delimiter: string
  readonly line: string
  /** The number of fields in the first line. */
  readonly wanted: number
  /** The number of fields in this line. */
  readonly found: string
}

async function oddLine(connection: DuckDBConnection, file: string): Promise<OddLine | null> {
  const lines = await connection
    .runAndReadAll(`SELECT line FROM read_csv(${quoteText(file)}, ${AS_LINES}) LIMIT 1`)
    .then(
      reader => reader.getRows(),
      () => [],
    )
  const first = String(lines[0]?.[0] ?? '')
  const inFirst = DELIMITERS.map(delimiter => ({ delimiter, wanted: first.split(delimiter).length }))
  for (const { delimiter, wanted } of inFirst.sort((a, b) => b.wanted - a.wanted)) {
    const columns = Array.from({ length: wanted }, (_, index) => `c${index}: 'VARCHAR'`).join(', ')
    const options = `auto_detect = false, delim = ${quoteText(delimiter)}, quote = '"', escape = '"', columns = { ${columns} }`
    const failure = await connection
      .run(`SELECT count(*) FROM read_csv(${quoteText(file)}, ${options})`)
      .then(
        () => '',
        (error: unknown) => duckdbMessage(error),
      )
    const [, line, , found] = COUNTS.exec(failure) ?? []
    if (line !== undefined && found !== undefined) return { delimiter, line, wanted, found }
  }
  return null
}

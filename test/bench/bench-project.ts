/** The project that the benchmarks run: all columns of the rows as JSON, in batches. */
import { dirname } from 'node:path'
import { COLUMNS } from './rows.ts'

const BATCH = 100
export const CONCURRENCY = 100
export const PARTITIONS = 4

export interface BenchOptions {
  /** Rows in a request. */
  readonly batch?: number
  readonly perSecond?: number
  readonly partitions?: number
  /** The file's columns; default: those of the rows. */
  readonly columns?: readonly string[]
  /** The model's select list, in SQL; default: all columns. */
  readonly select?: string
  /** True: rows that differ are sent, too. */
  readonly changed?: boolean
  readonly syncs?: number
  /** True: the first sync sends to a path that is answered after 30 s. */
  readonly slow?: boolean
}

/** The YAML of a project with syncs `rows`, `rows-2`, …, all from the file to the URL. */
export function benchProject(file: string, url: string, options: BenchOptions = {}): string {
  const { perSecond = 1_000_000, syncs = 1, select = '*' } = options
  const names = Array.from({ length: syncs }, (_, index) => (index === 0 ? 'rows' : `rows-${index + 1}`))
  return `kind: source
name: files
type: duckdb
path: ${dirname(file)}
---
kind: model
name: rows
source: files
sql: select ${select} from '${file}'
primaryKey: id
---
kind: destination
name: receiver
baseUrl: ${url}
allowPrivateNetwork: true
limits: { rate: { requests: ${perSecond}, per: second }, concurrency: ${CONCURRENCY} }
${names.map((name, at) => benchSync(name, { ...options, slow: options.slow === true && at === 0 })).join('')}`
}

function benchSync(name: string, options: BenchOptions): string {
  const { batch = BATCH, partitions = PARTITIONS, columns = COLUMNS, changed = false, slow } = options
  const fields = columns.map(column => `"${column}":{{ row.${column} | json }}`).join(',')
  return `---
kind: sync
name: ${name}
model: rows
destination: receiver
timeout: 2m # a busy machine is slow, and no request is to be sent twice
partitions: ${partitions}
triggers:
  added:
    batch: { size: ${batch} }
    method: POST
    path: ${slow === true ? '/slow' : '/rows'}
    body:
      json: '[{% for row in rows %}{${fields}},{% endfor %}]'
${changed ? '  changed: added\n' : ''}`
}

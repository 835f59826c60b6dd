/** The project that the benchmarks run: all columns of the rows as JSON, in batches. */
import { dirname } from 'node:path'
import { COLUMNS } from './rows.ts'

export const BATCH = 100
export const CONCURRENCY = 100

export interface BenchOptions {
  /** Rows in a request. */
  readonly batch?: number
  readonly perSecond?: number
}

/** The YAML of a project with one sync, `rows`, from the CSV file to the URL. */
export function benchProject(file: string, url: string, options: BenchOptions = {}): string {
  const { batch = BATCH, perSecond = 1_000_000 } = options
  const fields = COLUMNS.map(column => `"${column}":{{ row.${column} | json }}`).join(',')
  return `kind: source
name: files
type: duckdb
path: ${dirname(file)}
---
kind: model
name: rows
source: files
sql: select * from '${file}'
primaryKey: id
---
kind: destination
name: receiver
baseUrl: ${url}
allowPrivateNetwork: true
limits: { rate: { requests: ${perSecond}, per: second }, concurrency: ${CONCURRENCY} }
---
kind: sync
name: rows
model: rows
destination: receiver
triggers:
  added:
    batch: { size: ${batch} }
    method: POST
    path: /rows
    body:
      json: '[{% for row in rows %}{${fields}},{% endfor %}]'
`
}

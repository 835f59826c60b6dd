/** The project that the benchmarks run: all columns of the rows as JSON, in batches. */
import { COLUMNS } from './rows.ts'

export const BATCH = 100
export const CONCURRENCY = 100

/** The YAML of a project with one sync, `rows`, from the CSV file to the URL. */
export function benchProject(file: string, url: string): string {
  const fields = COLUMNS.map(column => `"${column}":{{ row.${column} | json }}`).join(',')
  return `kind: source
name: files
type: duckdb
path: .
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
limits: { rate: { requests: 1000000, per: second }, concurrency: ${CONCURRENCY} }
---
kind: sync
name: rows
model: rows
destination: receiver
triggers:
  added:
    batch: { size: ${BATCH} }
    method: POST
    path: /rows
    body:
      json: '[{% for row in rows %}{${fields}},{% endfor %}]'
`
}

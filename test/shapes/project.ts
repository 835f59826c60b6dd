/** The project folder of a shape: its YAML, and the file with its rows where it has one. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Op } from '@sluice/contracts/state'
import { SELECTION_SQL, type Pass, type Shape } from './shape.ts'

/** Wide enough that no shape waits for it. */
const LIMITS = { rate: { requests: 1_000_000, per: 'second' }, concurrency: 100 }
/** A request of a shape may be megabytes on a busy machine. */
const REQUEST_TIMEOUT = '2m'

/** URLs of the databases, without password, which is the secret `db-password`. */
export interface Databases {
  readonly postgres: string | null
  readonly mariadb: string | null
}

export function syncNames({ name, syncs = 1 }: Shape): readonly string[] {
  return syncs === 1 ? [name] : Array.from({ length: syncs }, (_, index) => `${name}-${index}`)
}

/** Writes what `sluice` reads in this pass; the folder is there. */
export async function writeProject(
  dir: string,
  shape: Shape,
  at: { readonly pass: Pass; readonly apiUrl: string; readonly databases: Databases },
): Promise<void> {
  if (shape.file !== undefined) await writeRows(dir, shape, at.pass)
  const documents = [
    // Shapes share the services on Kafka, and so the name of the destination.
    { kind: 'project', name: 'shapes' },
    { kind: 'source', name: 'rows', ...sourceFields(shape, at.databases) },
    // An API that breaks each connection would open the breaker, and the rest of the run would stay unsent.
    {
      kind: 'destination',
      name: 'api',
      baseUrl: at.apiUrl,
      allowPrivateNetwork: true,
      breaker: false,
      limits: LIMITS,
    },
    ...syncNames(shape).flatMap((name, index) => [
      { kind: 'model', name, source: 'rows', sql: modelSql(shape, at.pass, index), primaryKey: keyOf(shape) },
      {
        kind: 'sync',
        name,
        model: name,
        destination: 'api',
        timeout: REQUEST_TIMEOUT,
        triggers: triggersOf(shape),
        ...shape.sync,
      },
    ]),
  ]
  // YAML reads JSON as it is.
  await writeFile(join(dir, 'sluice.yaml'), documents.map(each => JSON.stringify(each)).join('\n---\n'))
}

function keyOf({ primaryKey = ['n'] }: Shape): readonly string[] {
  return primaryKey
}

function sourceFields(shape: Shape, databases: Databases): { readonly [field: string]: unknown } {
  const { dialect = 'duckdb', file } = shape
  if (dialect === 'duckdb') return { type: 'duckdb', path: file === 'duckdb' ? 'rows.duckdb' : '.' }
  const url = databases[dialect]
  if (url === null) throw new Error(`the shape ${shape.name} wants a ${dialect}`)
  const type = dialect === 'mariadb' ? 'mysql' : 'postgres'
  return { type, url, password: '${secret:db-password}' }
}

function modelSql(shape: Shape, pass: Pass, sync: number): string {
  const { file } = shape
  if (file === 'duckdb') return 'select * from rows'
  if (file !== undefined) return `select * from 'rows.${file}'`
  return rowsSql(shape, pass, sync)
}

/** The query that makes the rows of a sync out of nothing. */
function rowsSql(shape: Shape, pass: Pass, sync: number): string {
  const { dialect = 'duckdb', rows, columns, syncs = 1 } = shape
  const perSync = rows / syncs
  const first = sync * perSync + 1
  const last = first + perSync - 1
  const numbers = {
    duckdb: `range(${first}, ${last + 1}) numbers(n)`,
    postgres: `generate_series(${first}, ${last}) numbers(n)`,
    mariadb: `(select seq as n from seq_${first}_to_${last}) numbers`,
  }
  const values = columns.map(({ name, sql }) => `, ${sql(pass.revision)} as ${name}`)
  return `select n${values.join('')} from ${numbers[dialect]} where ${SELECTION_SQL[pass.has]}`
}

async function writeRows(dir: string, shape: Shape, pass: Pass): Promise<void> {
  const file = join(dir, `rows.${String(shape.file)}`)
  await rm(file, { force: true })
  const inFile = shape.file === 'duckdb'
  const query = rowsSql(shape, pass, 0)
  const instance = await DuckDBInstance.create(inFile ? file : ':memory:')
  try {
    const connection = await instance.connect()
    await connection.run(inFile ? `create table rows as ${query}` : `copy (${query}) to '${file}'`)
    connection.closeSync()
  } finally {
    instance.closeSync()
  }
}

function triggersOf(shape: Shape): { readonly [op: string]: unknown } {
  const { batch, batchBytes = '1MB' } = shape
  const body = (op: Op): string => {
    const row = rowTemplate(shape, op)
    return batch === null ? row : `[{% for row in rows %}${row},{% endfor %}]`
  }
  const trigger = (op: Op): unknown => ({
    ...(batch === null ? {} : { batch: { size: batch, bytes: batchBytes } }),
    method: 'POST',
    path: `/${op}`,
    body: { json: body(op) },
  })
  return { added: trigger('added'), changed: trigger('changed'), removed: trigger('removed') }
}

/** Liquid for what `rowJson` has for a row. */
function rowTemplate({ columns, previous, batch }: Shape, op: Op): string {
  const fields = columns.map(({ name }) => `,"${name}":{{ row.${name} | json }}`)
  const before = batch === null ? 'previous' : 'row.previous'
  const was = op === 'changed' && previous !== undefined ? `,"was":{{ ${before}.${previous} | json }}` : ''
  return `{"n":{{ row.n }}${fields.join('')}${was}}`
}

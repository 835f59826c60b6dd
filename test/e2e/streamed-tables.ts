/**
 * Tables whose changes are streamed to an API, the ways in which they change, and the rows that the API keeps
 * of what it was sent.
 */
import { expect } from 'vitest'
import type { RecordedRequest, ScriptedApi } from '@sluice/testkit/scripted-api'

const ROWS = Number(process.env['SLUICE_TEST_ROWS'] ?? 20_000)
/** Only what hangs takes so long, also on a busy machine. */
const STEP_MS = 120_000

type Row = Readonly<Record<string, unknown>>
export type Rows = ReadonlyMap<string, Row>

/** Something whose changes are streamed. */
export interface StreamedTable {
  rows(): Promise<Rows>
}

/** A table whose changes are captured. Statements and rows are those of PostgreSQL and MariaDB. */
export interface CapturedTable extends StreamedTable {
  readonly name: string
  run(sql: string): Promise<void>
  /** Runs the statements in one transaction. */
  transact(...sql: readonly string[]): Promise<void>
}

/** The last column is a large text, whose type the databases call differently. */
export const COLUMNS = 'id int primary key, name varchar(100), price numeric(12,2), big'

/** Texts that neither database can compress, nor keeps within the row. */
function bigText(seed: number, length: number): string {
  let text = ''
  for (let state = seed + 1; text.length < length;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    text += state.toString(36)
  }
  return text.slice(0, length)
}

/** Numbers are compared as numbers, since the digits of a decimal get lost where JSON is parsed. */
function byId(rows: readonly Row[]): Rows {
  return new Map(
    rows.map(row => [String(row['id']), 'price' in row ? { ...row, price: numberOf(row['price']) } : row]),
  )
}

function numberOf(value: unknown): number | null {
  return value === null ? null : Number(value)
}

/** Statements name the table as `$table`. */
export function capturedTable(name: string, query: (sql: string) => Promise<readonly Row[]>): CapturedTable {
  const run = async (sql: string): Promise<void> => {
    await query(sql.replaceAll('$table', name))
  }
  return {
    name,
    run,
    transact: async (...sql) => await run(['BEGIN', ...sql, 'COMMIT'].join(';')),
    rows: async () => byId(await query(`SELECT * FROM ${name}`)),
  }
}

/** A stream over a model of the same name, which sends whole rows to a path of that name. */
export function streamedSync(name: string, fields = 'removalGuard: false'): string {
  return `
kind: sync
name: ${name}
model: ${name}
destination: api
schedule: continuous
${fields}
triggers:
  added: &put
    method: PUT
    path: /${name}
    batch: { size: 500 }
    body:
      json: '[{% for row in rows %}{{ row | json }},{% endfor %}]'
  changed: *put
  removed:
    method: DELETE
    path: /${name}
    batch: { size: 500 }
    body:
      json: '[{% for row in rows %}{{ row.id | json }},{% endfor %}]'
`
}

export const API = `
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
`

const insertOf = (id: number): string =>
  `INSERT INTO $table (id, name, price, big) VALUES (${id}, 'n${id}', ${id}.50, '${bigText(id, 20_000)}')`

/** Fills a table before anybody reads it. */
export async function fillTable(table: CapturedTable): Promise<void> {
  for (const id of [1, 2, 3]) await table.run(insertOf(id))
}

/**
 * Changes tables in the ways that logs tell differently. Waits after each of them until all has arrived.
 * `bulk` are those of the tables that have a large transaction.
 */
export async function changeInEachWay(
  tables: readonly CapturedTable[],
  { bulk, equal }: { readonly bulk: readonly CapturedTable[]; equal(what: string): Promise<void> },
): Promise<void> {
  const everywhere = async (what: string, ...sql: readonly string[]): Promise<void> => {
    for (const table of tables) for (const each of sql) await table.run(each)
    await equal(what)
  }
  await equal('the snapshot')
  await everywhere(
    'single changes',
    insertOf(4),
    `UPDATE $table SET price = 7.25 WHERE id = 1`,
    'DELETE FROM $table WHERE id = 2',
    insertOf(2),
    'DELETE FROM $table WHERE id = 3',
  )
  await everywhere(
    'a change that does not tell the large value',
    `UPDATE $table SET name = 'known' WHERE id = 1`,
  )
  await everywhere(
    'a key that changes',
    `INSERT INTO $table (id, name, price, big) VALUES (5, 'moves', 1, 'small')`,
    'UPDATE $table SET id = 50 WHERE id = 5',
  )
  await everywhere('a row of 1 MB', `UPDATE $table SET big = '${bigText(9, 1_000_000)}' WHERE id = 4`)
  await everywhere('the next change of it', `UPDATE $table SET name = 'large' WHERE id = 4`)
  const blocks = Array.from({ length: ROWS / 1_000 }, (_, block) =>
    Array.from({ length: 1_000 }, (__, index) => 1_000 * (block + 1) + index),
  )
  for (const table of bulk)
    await table.transact(
      ...blocks.map(ids => {
        const rows = ids.map(id => `(${id}, 'n${id}', ${id}.25)`)
        return `INSERT INTO $table (id, name, price) VALUES ${rows.join(', ')}`
      }),
      `UPDATE $table SET name = 'twice' WHERE id BETWEEN 1000 AND 1999`,
    )
  await equal('a large transaction')
  await everywhere(
    'a column that comes',
    'ALTER TABLE $table ADD COLUMN extra int',
    // For rows that are there, a new column alone is no change.
    `UPDATE $table SET extra = 5, name = 'with more' WHERE id IN (1, 2)`,
  )
  await everywhere(
    'a column that goes',
    'ALTER TABLE $table DROP COLUMN price',
    `INSERT INTO $table (id, name) VALUES (6, 'without a price')`,
  )
}

/** The rows that the API has, by sync, and how often it was sent what it had already. */
export class ReceivedRows {
  readonly #rows = new Map<string, Map<string, Row>>()
  #seen = 0
  #repeats = 0

  /**
   * Requests with a row that the API had as it was sent, or with the removal of a row that it did not have.
   */
  get repeats(): number {
    return this.#repeats
  }

  take(requests: readonly RecordedRequest[]): this {
    for (const { method, url, body } of requests.slice(this.#seen)) {
      // Somebody asks whether the API is there.
      if (method === 'HEAD') continue
      const sync = url.slice(1)
      const rows = this.#rows.get(sync) ?? new Map<string, Row>()
      this.#rows.set(sync, rows)
      const items = JSON.parse(body) as readonly unknown[]
      let isRepeat = false
      for (const item of items)
        if (method === 'DELETE') isRepeat = !rows.delete(String(item)) || isRepeat
        else
          for (const [id, row] of byId([item as Row])) {
            isRepeat ||= JSON.stringify(rows.get(id)) === JSON.stringify(row)
            rows.set(id, row)
          }
      if (isRepeat) this.#repeats += 1
    }
    this.#seen = requests.length
    return this
  }

  of(sync: string): Rows {
    return this.#rows.get(sync) ?? new Map()
  }
}

/**
 * What differs between two sets of rows, at most three rows of it. A column that is missing is null, and one
 * that the table has no more does not count.
 */
function differences(has: Rows, wants: Rows): readonly string[] {
  const found: string[] = []
  const show = (row: object | undefined): string => JSON.stringify(row)?.slice(0, 200) ?? 'no row'
  for (const id of new Set([...has.keys(), ...wants.keys()])) {
    const [is, wanted] = [has.get(id), wants.get(id)]
    const same =
      is !== undefined &&
      wanted !== undefined &&
      Object.entries(wanted).every(([name, value]) => (is[name] ?? null) === value)
    if (!same) found.push(`${id}: has ${show(is)}, wants ${show(wanted)}`)
    if (found.length === 3) break
  }
  return found
}

/** Resolves once the API has the rows of each table. */
export async function untilEqual(
  { api, received }: { readonly api: ScriptedApi; readonly received: ReceivedRows },
  captured: readonly { readonly table: StreamedTable; readonly sync: string }[],
  what: string,
): Promise<void> {
  const wanted = await Promise.all(
    captured.map(async ({ table, sync }) => ({ sync, rows: await table.rows() })),
  )
  const missing = (requests: readonly RecordedRequest[]): readonly string[] => {
    received.take(requests)
    return wanted.flatMap(({ sync, rows }) => {
      const has = received.of(sync)
      if (has.size !== rows.size) return [`${sync} has ${has.size} rows, wants ${rows.size}`]
      return differences(has, rows).map(each => `${sync}, row ${each}`)
    })
  }
  const signal = AbortSignal.timeout(STEP_MS)
  await api.waitFor(requests => missing(requests).length === 0, { signal }).catch(() => {})
  expect(missing(api.requests), what).toEqual([])
}

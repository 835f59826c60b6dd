/**
 * Rows of `key` and `v` that change while a stream reads them: a table of PostgreSQL, or a topic of Kafka.
 * The versions of all rows come from one counter, so a request tells which change it is of.
 */
import { TopicProducer } from '@sluice/sources/test/topic-producer'
import type { Random } from '@sluice/testkit/random'
import { ownDatabase } from '../e2e/own-database.ts'
import type { Arrived } from './late-api.ts'
import type { StreamWorld } from './stream-world.ts'

/** A row as it becomes. `v` null: it is removed. */
export interface Edit {
  readonly key: string
  readonly v: number | null
}

export interface StreamedRows extends AsyncDisposable {
  /** The source and the model, whose name is `rows`. */
  readonly yaml: string
  /** The environment that the YAML reads. */
  readonly env: { readonly [name: string]: string }
  /** Carries out all edits at once, or rejects. */
  edit(edits: readonly Edit[]): Promise<void>
  /** Ends all connections of readers. Null: it cannot. */
  readonly cut: (() => Promise<void>) | null
  /** Has the source forget where its reader stands. Null: it cannot. */
  readonly forget: (() => Promise<void>) | null
}

/** The rows as they ought to be, and what a request may tell of them. */
export class WantedRows {
  readonly rows = new Map<string, number>()
  readonly #removals = new Map<string, number[]>()
  readonly #arrived = new Map<string, number>()
  readonly #source: StreamedRows
  readonly #keys: readonly string[]
  #version = 0

  constructor(source: StreamedRows, keys: readonly string[]) {
    this.#source = source
    this.#keys = keys
  }

  async edit(random: Random): Promise<void> {
    const rows = random.chance(0.1) ? 1 + random.below(20) : 1
    const edits = new Map<string, Edit>()
    const chance = random.chance(0.02) ? 1 : 0.15
    for (let row = 0; row < rows; row += 1) {
      const key = random.pick(this.#keys)
      if (edits.has(key)) continue
      const isRemoved = this.rows.has(key) && random.chance(chance)
      edits.set(key, this.#next(key, isRemoved))
    }
    await this.#source.edit([...edits.values()])
  }

  /** Notes an edit before it is made, since a request of it may come before the edit is known to be made. */
  #next(key: string, isRemoved: boolean): Edit {
    this.#version += 1
    if (!isRemoved) {
      this.rows.set(key, this.#version)
      return { key, v: this.#version }
    }
    this.rows.delete(key)
    this.#removals.set(key, [...(this.#removals.get(key) ?? []), this.#version])
    return { key, v: null }
  }

  /**
   * Returns what is wrong about a row that has arrived; null if nothing is. A removal stands for the first
   * one that is newer than what has arrived of its key.
   */
  arrived(key: string, v: number | null): string | null {
    const newest = this.#arrived.get(key) ?? 0
    const version = v ?? this.#removals.get(key)?.find(removal => removal >= newest)
    if (version === undefined) return `${JSON.stringify(key)} was removed, and ${newest} came before`
    if (version < newest) return `${JSON.stringify(key)} came as ${version}, and ${newest} came before`
    this.#arrived.set(key, version)
    return null
  }

  /** Returns one key of which the API has something else; null if there is none. */
  difference(has: ReadonlyMap<string, number>): string | null {
    for (const key of new Set([...this.rows.keys(), ...has.keys()]))
      if (has.get(key) !== this.rows.get(key))
        return `${JSON.stringify(key)} is ${String(has.get(key))}, not ${String(this.rows.get(key))}`
    return null
  }
}

/** Counts the requests with a row that the API had taken as the last one of its key. */
export function repeatsOf(log: readonly Arrived[]): number {
  const last = new Map<string, { readonly sent: string; readonly request: Arrived }>()
  let repeats = 0
  for (const request of log) {
    const sentOf = (v: number): string => (request.url === '/remove' ? 'removed' : String(v))
    const isRepeat = request.rows.some(({ key, v }) => {
      const before = last.get(key)
      return before?.sent === sentOf(v) && isTaken(before.request)
    })
    if (isRepeat) repeats += 1
    for (const { key, v } of request.rows) last.set(key, { sent: sentOf(v), request })
  }
  return repeats
}

const isTaken = ({ status, url }: Arrived): boolean => status === 200 || (status === 404 && url === '/remove')

/** A table in a database of its own, which is followed. */
export async function followedTable(server: string): Promise<StreamedRows> {
  const database = await ownDatabase(server)
  const { client, url } = database
  const name = new URL(url).pathname.slice(1)
  await client.query('CREATE TABLE rows (key text PRIMARY KEY, v bigint NOT NULL)')
  const cut = async (): Promise<void> => {
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`,
      [name],
    )
  }
  /** Whoever reads it may come back before it is dropped. */
  const forget = async (): Promise<void> => {
    for (;;) {
      await cut()
      const { rows } = await client.query<{ active: boolean }>(
        'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
        [name],
      )
      if (rows.length === 0) return
      const dropped = await client.query('SELECT pg_drop_replication_slot($1)', [name]).catch(() => null)
      if (dropped !== null) return
    }
  }
  return {
    yaml: `
kind: source
name: database
type: postgres
url: \${DATABASE_URL}
allowPrivateNetwork: true
follow: { slot: ${name} }
---
kind: model
name: rows
source: database
table: rows
primaryKey: key
`,
    env: { DATABASE_URL: url },
    edit: async edits => {
      await client.query('BEGIN')
      for (const { key, v } of edits)
        if (v === null) await client.query('DELETE FROM rows WHERE key = $1', [key])
        else
          await client.query(
            'INSERT INTO rows VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET v = excluded.v',
            [key, v],
          )
      await client.query('COMMIT')
    },
    cut,
    forget,
    [Symbol.asyncDispose]: async () => {
      await forget()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** A topic whose values are the rows. */
export async function writtenTopic(
  { brokers, whileKafkaIsThere }: Pick<StreamWorld, 'brokers' | 'whileKafkaIsThere'>,
  partitions: number,
): Promise<StreamedRows> {
  const topic = await whileKafkaIsThere(() => TopicProducer.make(brokers, { partitions }))
  return {
    yaml: `
kind: source
name: topics
type: kafka
brokers:
  - \${BROKERS}
---
kind: model
name: rows
source: topics
topic: ${topic.topic}
format: rows
primaryKey: key
`,
    env: { BROKERS: brokers },
    edit: async edits => {
      const records = edits.map(({ key, v }) => ({ key: { key }, value: v === null ? null : { key, v } }))
      await whileKafkaIsThere(() => topic.write(...records))
    },
    cut: null,
    forget: null,
    [Symbol.asyncDispose]: () => whileKafkaIsThere(() => topic[Symbol.asyncDispose]()),
  }
}

/**
 * Searches attempts. Each way to find them reads little that does not match:
 *
 * - A search by key reads the attempts of that key.
 * - A search by a text that few errors have reads the attempts of each such error.
 * - Any other search reads the attempts of each kind that its filters choose.
 *
 * If very many errors may have the text, or bodies are searched, the search looks one by one at the attempts
 * that match its other filters, the newest first. After two seconds the page ends, and the next page goes on
 * there.
 */
import { setImmediate } from 'node:timers/promises'
import { inflateRawSync } from 'node:zlib'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { AttemptDetails, AttemptSearch, Found, FoundAttempt, RunPlace, SyncLife } from '../../port.ts'
import { numberOf, textOf, type IndexFile, type Row, type Value } from './index-file.ts'
import { keyHash } from './store-batch.ts'
import { SLOTS } from './tables.ts'

/** The tokens of `error_text` have three characters, so shorter texts have none. */
const MIN_TOKEN = 3
/** If more errors have the text, the attempts are looked at one after the other. */
const MAX_ERRORS = 1_000
/** At most this many attempts are looked at before others get their turn, and fewer with their bodies. */
const MAX_CHUNK = 500
const MAX_CHUNK_OF_BODIES = 50
/** A search looks at attempts that do not match for at most this long. */
const MAX_MS = 2_000
/** An id may lie this far after its time, if very many attempts started at once. */
const SPILL = 1_000 * SLOTS

const COLUMNS = `a.id, a.part, a.seq, a.attempt, a.at, a.ms, a.place_offset, a.request_offset, a.url, a.keys,
  a.details, e.text AS error, k.trigger, k.outcome, k.status, k.method, r.run_id, r.number,
  l.sync, l.incarnation`
const JOINS = `JOIN kind k ON k.id = a.kind JOIN run r ON r.id = a.run JOIN life l ON l.id = k.life
  LEFT JOIN error e ON e.id = a.error`

/** A way to find attempts, as SQL with its values. */
interface Way {
  readonly from: string
  readonly values: readonly Value[]
}

interface Span {
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

interface Kind {
  readonly id: number
  readonly life: number
}

/** An attempt with its id, which rises with the time at which attempts started. */
interface IndexedAttempt extends FoundAttempt {
  readonly id: number
}

export class IndexSearch {
  readonly #file: IndexFile
  readonly #search: AttemptSearch
  /** Only attempts with smaller ids are found. */
  readonly #before: number | null
  readonly #longestMs: number

  constructor(file: IndexFile, search: AttemptSearch, longestMs = MAX_MS) {
    this.#file = file
    this.#search = search
    this.#before = typeof search.before === 'number' ? search.before : null
    this.#longestMs = longestMs
  }

  async find({ signal }: { readonly signal: AbortSignal }): Promise<Found> {
    const { limit, search, searchesBodies } = this.#search
    const chunk = searchesBodies ? MAX_CHUNK_OF_BODIES : MAX_CHUNK
    const kinds = this.#kinds()
    const run = this.#run()
    if (kinds.length === 0 || run === undefined) return this.#page([])
    const errors = this.#errors(kinds)
    const ways = this.#ways(kinds, errors)
    const span = this.#span(run)
    if (search === null || errors !== null)
      return this.#page(this.#newest(ways, { span, run, limit: limit + 1 }))
    const found: IndexedAttempt[] = []
    const startedAt = elapsedMs()
    for (let { to } = span; ;) {
      const some = this.#newest(ways, { span: { from: span.from, to }, run, limit: chunk })
      found.push(...some.filter(attempt => this.#hasText(attempt, search)))
      const last = some.at(-1)
      if (last === undefined || some.length < chunk || found.length > limit) return this.#page(found)
      if (elapsedMs() - startedAt > this.#longestMs) return this.#page(found, last.id)
      to = last.id
      await setImmediate()
      signal.throwIfAborted()
    }
  }

  /** `endedAt` is the id of the last attempt that was looked at, if the search ended there early. */
  #page(found: readonly IndexedAttempt[], endedAt: number | null = null): Found {
    const attempts = found.slice(0, this.#search.limit)
    return {
      attempts,
      hasMore: found.length > attempts.length || endedAt !== null,
      lookedBackTo: endedAt === null ? null : Math.floor(endedAt / SLOTS),
      placeAfter: count =>
        (count < attempts.length ? null : endedAt) ?? attempts[count - 1]?.id ?? this.#before,
    }
  }

  #kinds(): readonly Kind[] {
    const { lives, trigger, status, outcome } = this.#search
    const rows = this.#file.all(
      `SELECT k.id, k.life, l.sync, l.incarnation FROM kind k JOIN life l ON l.id = k.life
        WHERE (?1 IS NULL OR k.trigger = ?1) AND (?2 IS NULL OR k.outcome = ?2) AND k.status BETWEEN ?3 AND ?4`,
      ...[trigger, outcome, status?.from ?? 0, status?.to ?? Number.MAX_SAFE_INTEGER],
    )
    const wanted = new Set(lives.map(lifeName))
    return rows.flatMap(row => {
      const life = { sync: textOf(row, 'sync'), incarnation: textOf(row, 'incarnation') }
      return wanted.has(lifeName(life)) ? [{ id: numberOf(row, 'id'), life: numberOf(row, 'life') }] : []
    })
  }

  /** The run that is searched: null for any run, and undefined for a run without attempts. */
  #run(): (Span & { readonly id: number }) | null | undefined {
    const wanted = this.#search.run
    if (wanted === null) return null
    const row = this.#file.get('SELECT id, first, last FROM run WHERE run_id = ?', wanted.id)
    if (row === undefined) return undefined
    return { id: numberOf(row, 'id'), from: numberOf(row, 'first'), to: numberOf(row, 'last') + 1 }
  }

  /**
   * The errors that have the text; null if they are too many, or if the text is not searched in errors alone.
   */
  #errors(kinds: readonly Kind[]): readonly number[] | null {
    const { search, searchesBodies } = this.#search
    if (search === null || searchesBodies || [...search].length < MIN_TOKEN) return null
    const wanted = new Set(kinds.map(({ id }) => id))
    const rows = this.#file.all(
      `SELECT e.id, e.kind, e.text FROM error_text t JOIN error e ON e.id = t.rowid
        WHERE error_text MATCH ? LIMIT ?`,
      `"${search.replaceAll('"', '""')}"`,
      MAX_ERRORS + 1,
    )
    if (rows.length > MAX_ERRORS) return null
    return rows
      .filter(row => wanted.has(numberOf(row, 'kind')) && textOf(row, 'text').toLowerCase().includes(search))
      .map(row => numberOf(row, 'id'))
  }

  #ways(kinds: readonly Kind[], errors: readonly number[] | null): readonly Way[] {
    const { key } = this.#search
    const ids = JSON.stringify(kinds.map(({ id }) => id))
    if (key !== null) {
      // A key has few attempts, so attempts of the key that do not match cost little.
      const list = errors === null ? '' : 'AND a.error IN (SELECT value FROM json_each(?))'
      return [...new Set(kinds.map(({ life }) => life))].map(life => ({
        from: `keyed w CROSS JOIN attempt a ON a.id = w.id WHERE w.hash = ? AND a.kind IN (SELECT value FROM json_each(?))
          ${list} AND EXISTS (SELECT 1 FROM json_each(a.keys) WHERE value = ?) AND w.id >= ? AND w.id < ?`,
        values: [keyHash(life, key), ids, ...(errors === null ? [] : [JSON.stringify(errors)]), key],
      }))
    }
    const ranged = 'AND a.id >= ? AND a.id < ?'
    if (errors !== null)
      return errors.map(error => ({ from: `attempt a WHERE a.error = ? ${ranged}`, values: [error] }))
    const all = numberOf(this.#file.get('SELECT count(*) AS count FROM kind'), 'count')
    if (kinds.length === all) return [{ from: 'attempt a WHERE a.id >= ? AND a.id < ?', values: [] }]
    return kinds.map(({ id }) => ({ from: `attempt a WHERE a.kind = ? ${ranged}`, values: [id] }))
  }

  /** The newest attempts of all ways together, by falling id. */
  #newest(
    ways: readonly Way[],
    range: { readonly span: Span; readonly run: { readonly id: number } | null; readonly limit: number },
  ): readonly IndexedAttempt[] {
    const { since, until } = this.#search
    const { span, run, limit } = range
    const exact: (readonly [sql: string, value: number | null])[] = [
      ['a.run = ?', run?.id ?? null],
      ['a.at >= ?', since],
      ['a.at < ?', until],
    ]
    const asked = exact.flatMap(([sql, value]) => (value === null ? [] : [{ sql, value }]))
    const and = asked.map(({ sql }) => ` AND ${sql}`).join('')
    const values = asked.map(({ value }) => value)
    let from = span.from
    let newest: number[] = []
    for (const way of ways) {
      const rows = this.#file.all(
        `SELECT a.id FROM ${way.from}${and} ORDER BY a.id DESC LIMIT ?`,
        ...[...way.values, from, span.to, ...values, limit],
      )
      if (rows.length === 0) continue
      newest.push(...rows.map(row => numberOf(row, 'id')))
      newest = newest.sort((a, b) => b - a).slice(0, limit)
      // Once a page is full, no older attempts are needed.
      if (newest.length === limit) from = Math.max(from, newest.at(-1) ?? 0)
    }
    const sql = `SELECT ${COLUMNS} FROM attempt a ${JOINS} WHERE a.id IN (SELECT value FROM json_each(?))
      ORDER BY a.id DESC`
    return this.#file.all(sql, JSON.stringify(newest)).map(attemptOf)
  }

  #span(run: Span | null): Span {
    const { since, until } = this.#search
    const ends = [this.#before, run?.to ?? null, until === null ? null : until * SLOTS + SPILL]
    return {
      from: Math.max(0, (since ?? 0) * SLOTS, run?.from ?? 0),
      to: Math.min(Number.MAX_SAFE_INTEGER, ...ends.filter(end => end !== null)),
    }
  }

  #hasText({ error, details }: IndexedAttempt, search: string): boolean {
    const bodies = this.#search.searchesBodies ? [details?.requestBody, details?.responseBody] : []
    return [error, ...bodies].some(text => text?.toLowerCase().includes(search) === true)
  }
}

/** The attempts at a request, in the order of the topic. */
export function attemptsOfRequest(
  file: IndexFile,
  request: RunPlace & { readonly partition: number; readonly seq: number },
): readonly FoundAttempt[] {
  const { sync, incarnation, run, partition, seq } = request
  const sql = `SELECT ${COLUMNS} FROM attempt a ${JOINS} WHERE a.run = (SELECT id FROM run WHERE run_id = ?)
    AND a.seq = ? AND a.part = ? AND l.sync = ? AND l.incarnation = ? ORDER BY a.place_offset`
  return file.all(sql, run.id, seq, partition, sync, incarnation).map(attemptOf)
}

function lifeName({ sync, incarnation }: SyncLife): string {
  return `${sync}/${incarnation}`
}

function attemptOf(row: Row): IndexedAttempt {
  const error = row['error']
  const status = numberOf(row, 'status')
  let details: AttemptDetails | null | undefined
  return {
    id: numberOf(row, 'id'),
    sync: textOf(row, 'sync'),
    incarnation: textOf(row, 'incarnation'),
    partition: numberOf(row, 'part'),
    run: numberOf(row, 'number'),
    runId: textOf(row, 'run_id'),
    seq: numberOf(row, 'seq'),
    offset: numberOf(row, 'place_offset'),
    requestOffset: numberOf(row, 'request_offset'),
    attempt: numberOf(row, 'attempt'),
    trigger: textOf(row, 'trigger') as IndexedAttempt['trigger'],
    outcome: textOf(row, 'outcome') as IndexedAttempt['outcome'],
    status: status === 0 ? null : status,
    error: typeof error === 'string' ? error : null,
    method: textOf(row, 'method'),
    url: textOf(row, 'url'),
    startedAt: numberOf(row, 'at'),
    durationMs: numberOf(row, 'ms'),
    keys: JSON.parse(textOf(row, 'keys')) as string[],
    // Bodies may be long, and most searches do not show them.
    get details() {
      details ??= detailsOf(row['details'])
      return details
    },
  }
}

function detailsOf(packed: unknown): AttemptDetails | null {
  if (!(packed instanceof Uint8Array)) return null
  return JSON.parse(inflateRawSync(packed).toString()) as AttemptDetails
}

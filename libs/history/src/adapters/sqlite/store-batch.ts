/** Stores records of a partition in one transaction with the position after them. */
import { hash } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { latencyBin } from '../../latency-bins.ts'
import type { AttemptFacts, AttemptsBatch, MentionsBatch, Place, SyncLife } from '../../port.ts'
import { numberOf, type IndexFile } from './index-file.ts'
import { SLOTS } from './tables.ts'

/** The latest time of an attempt that its id can hold, in ms since 1970. */
const LATEST_AT = 2 ** 42 - 1
/** Longer URLs are cut. */
const MAX_URL_CHARACTERS = 2_048

/** A hash of a key, and the id of an attempt with it. */
interface Keyed {
  readonly hash: number
  readonly id: number
}

export class BatchStore {
  readonly #file: IndexFile

  constructor(file: IndexFile) {
    this.#file = file
  }

  lifeOf({ sync, incarnation }: SyncLife): number | null {
    const row = this.#file.get('SELECT id FROM life WHERE sync = ? AND incarnation = ?', sync, incarnation)
    return row === undefined ? null : numberOf(row, 'id')
  }

  position({ topic, partition, ...life }: Place): number | null {
    const id = this.lifeOf(life)
    if (id === null) return null
    const row = this.#file.get(
      'SELECT next FROM place WHERE life = ? AND topic = ? AND part = ?',
      id,
      topic,
      partition,
    )
    return row === undefined ? null : numberOf(row, 'next')
  }

  addAttempts({ place, attempts, next }: AttemptsBatch): void {
    this.#file.transaction(() => {
      const life = this.#lifeMade(place)
      const run = new RunSpans(this.#file, life)
      const counts = new Map<string, number>()
      const keyed: Keyed[] = []
      for (const attempt of attempts) {
        const id = this.#addAttempt(attempt, { life, partition: place.partition, run })
        for (const key of attempt.keys) keyed.push({ hash: keyHash(life, key), id })
        run.spans(attempt, id)
        // Attempt 0 says that nothing was sent.
        if (attempt.attempt === 0) continue
        const second = Math.floor(timeOf(attempt) / 1_000)
        const counted = `${run.idOf(attempt)} ${second} ${attempt.outcome} ${latencyBin(attempt.durationMs)}`
        counts.set(counted, (counts.get(counted) ?? 0) + 1)
      }
      run.store()
      // In the order of the table, neighbours go to the same page.
      for (const { hash, id } of keyed.sort((a, b) => a.hash - b.hash))
        this.#file.run('INSERT OR IGNORE INTO keyed (hash, id) VALUES (?, ?)', hash, id)
      for (const [counted, count] of counts) this.#count(counted, count)
      this.#setPosition(life, place, next)
    })
  }

  addMentions({ place, mentions, next }: MentionsBatch): void {
    this.#file.transaction(() => {
      const life = this.#lifeMade(place)
      const id = this.#setPosition(life, place, next)
      // In the order of the index, neighbours go to the same page. Mentions of one key stay in their order.
      const sorted = mentions
        .map(({ key, offset, at }) => ({ hash: keyHash(life, key), offset, at }))
        .sort((a, b) => a.hash - b.hash)
      for (const { hash, offset, at } of sorted)
        this.#file.run(
          'INSERT INTO mention (place, place_offset, hash, at) VALUES (?, ?, ?, ?)',
          ...[id, offset, hash, Math.floor(at)],
        )
    })
  }

  #addAttempt(
    attempt: AttemptFacts,
    { life, partition, run }: { readonly life: number; readonly partition: number; readonly run: RunSpans },
  ): number {
    const { seq, requestOffset, offset, keys, details, durationMs, error, url } = attempt
    const at = timeOf(attempt)
    const kind = this.#kindOf(life, attempt)
    const id = this.#freeId(at)
    const errorId = error === null ? null : this.#errorOf(kind, error)
    const packed = details === null ? null : deflateRawSync(JSON.stringify(details))
    this.#file.run(
      `INSERT INTO attempt (id, kind, run, part, seq, attempt, at, ms, place_offset, request_offset, error, url,
        keys, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[
        id,
        kind,
        run.idOf(attempt),
        partition,
        seq,
        attempt.attempt,
        at,
        durationMs,
        offset,
        requestOffset,
      ],
      ...[errorId, url.slice(0, MAX_URL_CHARACTERS), JSON.stringify(keys), packed],
    )
    return id
  }

  /** The next id of that millisecond, or of the first later one that has room. */
  #freeId(at: number): number {
    for (let ms = at; ; ms += 1) {
      const row = this.#file.get(
        'SELECT max(id) AS id FROM attempt WHERE id >= ? AND id < ?',
        ms * SLOTS,
        (ms + 1) * SLOTS,
      )
      const last = row?.['id']
      if (typeof last !== 'number') return ms * SLOTS
      if (last + 1 < (ms + 1) * SLOTS) return last + 1
    }
  }

  #kindOf(life: number, { trigger, outcome, status, method }: AttemptFacts): number {
    const values = [life, trigger, outcome, status ?? 0, method]
    const row = this.#file.get(
      'SELECT id FROM kind WHERE life = ? AND trigger = ? AND outcome = ? AND status = ? AND method = ?',
      ...values,
    )
    if (row !== undefined) return numberOf(row, 'id')
    return this.#file.run(
      'INSERT INTO kind (life, trigger, outcome, status, method) VALUES (?, ?, ?, ?, ?)',
      ...values,
    ).id
  }

  #errorOf(kind: number, text: string): number {
    const values = [hashOf(text), kind, text]
    const row = this.#file.get('SELECT id FROM error WHERE hash = ? AND kind = ? AND text = ?', ...values)
    if (row !== undefined) return numberOf(row, 'id')
    const { id } = this.#file.run('INSERT INTO error (hash, kind, text) VALUES (?, ?, ?)', ...values)
    this.#file.run('INSERT INTO error_text (rowid, folded) VALUES (?, ?)', id, text.toLowerCase())
    return id
  }

  #count(counted: string, count: number): void {
    const [run = '', second, outcome = '', bin] = counted.split(' ')
    this.#file.run(
      `INSERT INTO figure (run, second, outcome, bin, count) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET count = count + excluded.count`,
      ...[Number(run), Number(second), outcome, Number(bin), count],
    )
  }

  #lifeMade({ sync, incarnation }: SyncLife): number {
    const known = this.lifeOf({ sync, incarnation })
    if (known !== null) return known
    return this.#file.run('INSERT INTO life (sync, incarnation) VALUES (?, ?)', sync, incarnation).id
  }

  #setPosition(life: number, { topic, partition }: Place, next: number): number {
    const row = this.#file.get(
      `INSERT INTO place (life, topic, part, next) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET next = excluded.next RETURNING id`,
      ...[life, topic, partition, next],
    )
    return numberOf(row, 'id')
  }
}

/** The runs of a batch, each with the ids of its first and its last attempt. */
class RunSpans {
  readonly #file: IndexFile
  readonly #life: number
  readonly #runs = new Map<string, { readonly id: number; first: number; last: number }>()

  constructor(file: IndexFile, life: number) {
    this.#file = file
    this.#life = life
  }

  idOf({ runId, run }: Pick<AttemptFacts, 'runId' | 'run'>): number {
    const known = this.#runs.get(runId)
    if (known !== undefined) return known.id
    const row =
      this.#file.get('SELECT id, first, last FROM run WHERE run_id = ?', runId) ??
      this.#file.get(
        'INSERT INTO run (life, run_id, number, first, last) VALUES (?, ?, ?, ?, -1) RETURNING id, first, last',
        ...[this.#life, runId, run, Number.MAX_SAFE_INTEGER],
      )
    const spans = { id: numberOf(row, 'id'), first: numberOf(row, 'first'), last: numberOf(row, 'last') }
    this.#runs.set(runId, spans)
    return spans.id
  }

  spans({ runId }: Pick<AttemptFacts, 'runId'>, id: number): void {
    const run = this.#runs.get(runId)
    if (run === undefined) return
    run.first = Math.min(run.first, id)
    run.last = Math.max(run.last, id)
  }

  store(): void {
    for (const { id, first, last } of this.#runs.values())
      this.#file.run('UPDATE run SET first = ?, last = ? WHERE id = ?', first, last, id)
  }
}

/** The start of an attempt, within the times that an id can hold. A stranger may write any number. */
function timeOf({ startedAt }: Pick<AttemptFacts, 'startedAt'>): number {
  return Math.min(LATEST_AT, Math.max(0, Math.floor(startedAt)))
}

/** 48 bits of a hash that spreads evenly. */
function hashOf(text: string): number {
  // A text of one byte a character is made in half the time of a buffer.
  const bytes = hash('sha256', text, 'binary')
  let number = 0
  for (let at = 0; at < 6; at += 1) number = number * 256 + bytes.charCodeAt(at)
  return number
}

export function keyHash(life: number, key: string): number {
  return hashOf(`${life} ${key}`)
}

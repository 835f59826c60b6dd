/**
 * An API that reads connections late, applies requests late, fails, and drops connections. It stamps when a
 * connection opened, and when each request arrived and was applied, by one clock.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createNetServer, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Notifier } from '@sluice/flow/notifier'

const { signal } = new AbortController()

/** How many requests such a sync has in flight at most. */
export const CONCURRENCY = 4

/** The fate of a request. */
export interface Fate {
  /** Null: the connection is dropped. */
  readonly status: number | null
  readonly applies: boolean
  /** Milliseconds after it arrived. */
  readonly afterMs: number
}

export const TAKEN: Fate = { status: 200, applies: true, afterMs: 0 }

export interface SentRow {
  readonly key: string
  readonly v: number
}

/** A request as it arrived, and how it was answered. */
export interface Arrived {
  readonly url: string
  readonly rows: readonly SentRow[]
  readonly idempotencyKey: string
  /** The status of the answer. Null: the connection was dropped, or no answer was given yet. */
  status: number | null
}

export class LateApi implements AsyncDisposable {
  /** The objects, by their keys as `identity` has them. */
  readonly rows = new Map<string, number>()
  /** All requests, in the order of their arrival. */
  readonly log: Arrived[] = []
  /** Maps a key to the object that it names. An API that takes `Ann` and `ann` for one folds them. */
  identity: (key: string) => string = key => key
  /** Called with each request as it arrives. */
  onArrived: (request: Arrived) => void = () => undefined
  readonly stamps: string[] = []
  /** The next connection is not read before it resolves. Null: it is read at once. */
  holds: () => Promise<unknown> | null = () => null
  /** The fate of a request to `/set` or `/remove`. */
  fate: (url: string) => Fate = () => TAKEN
  /** Requests that have arrived. */
  arrived = 0
  lastArrivedMs = 0
  /** Keys of requests that were applied later than `latestMs` after their connection opened. */
  readonly tooLate = new Set<string>()
  latestMs = Infinity
  readonly #changes = new Notifier()
  readonly #opened = new WeakMap<Socket, number>()
  readonly #http = createServer((request, response) => void this.#receive(request, response))
  readonly #server = createNetServer({ pauseOnConnect: true }, socket => void this.#read(socket))
  readonly #sinceMs = performance.now()
  #underWay = 0

  static async open(): Promise<LateApi> {
    const api = new LateApi()
    // No connection is closed here because it rests: what a client sends then would be lost.
    api.#http.keepAliveTimeout = 0
    api.#server.listen(0, '127.0.0.1')
    await once(api.#server, 'listening')
    return api
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  stamp(what: string): void {
    this.stamps.push(`${(performance.now() - this.#sinceMs).toFixed(0).padStart(6)} ms  ${what}`)
  }

  /** Resolves once that many requests have arrived. */
  async until(arrived: number): Promise<void> {
    for (;;) {
      const { version } = this.#changes
      if (this.arrived >= arrived) return
      await this.#changes.after(version, { signal })
    }
  }

  /** Resolves once nothing that has come is still to be read or applied. */
  async settled(): Promise<void> {
    for (;;) {
      const { version } = this.#changes
      if (this.#underWay === 0) return
      await this.#changes.after(version, { signal })
    }
  }

  async #read(socket: Socket): Promise<void> {
    this.#opened.set(socket, performance.now())
    socket.on('error', () => undefined)
    const held = this.holds()
    if (held !== null) {
      this.#underWay += 1
      this.stamp('a connection opened, and is not read yet')
      await held
      this.stamp('it is read')
      this.#end()
    }
    this.#http.emit('connection', socket)
    socket.resume()
  }

  #end(): void {
    this.#underWay -= 1
    this.#changes.notify()
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const openedMs = Math.max(this.#opened.get(request.socket) ?? 0, this.#sinceMs)
    const body = await text(request).catch(() => null)
    if (body === null) return this.stamp(`${request.url ?? ''} was cut`)
    // The next request of the connection counts from here.
    this.#opened.set(request.socket, performance.now())
    const rows: readonly SentRow[] = JSON.parse(body)
    const what = `${request.url ?? ''} ${rows.map(({ key, v }) => `${JSON.stringify(key)}=${v}`).join()}`
    const { status, applies, afterMs } = this.fate(request.url ?? '')
    this.#underWay += 1
    this.arrived += 1
    this.lastArrivedMs = performance.now()
    this.stamp(`arrived: ${what}`)
    const idempotencyKey = String(request.headers['idempotency-key'] ?? '')
    const arrived: Arrived = { url: request.url ?? '', rows, idempotencyKey, status: null }
    this.log.push(arrived)
    this.onArrived(arrived)
    this.#changes.notify()
    if (afterMs > 0) await sleep(afterMs)
    const isMissing = request.url === '/remove' && rows.some(({ key }) => !this.rows.has(this.identity(key)))
    if (applies) this.#apply(request.url ?? '', rows)
    if (performance.now() - openedMs > this.latestMs) for (const { key } of rows) this.tooLate.add(key)
    const answer = isMissing && status === 200 ? 404 : status
    this.stamp(`${applies ? 'applied' : 'refused'}: ${what}, answer ${String(answer)}`)
    this.#end()
    arrived.status = answer
    if (answer === null) return void request.socket.destroy()
    response.statusCode = answer
    response.end('{}')
  }

  #apply(url: string, rows: readonly SentRow[]): void {
    for (const { key, v } of rows)
      if (url === '/remove') this.rows.delete(this.identity(key))
      else this.rows.set(this.identity(key), v)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

const ROWS_OF_A_FILE = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: rows
source: files
sql: |
  select key, v from read_json('rows.json', columns = { key: 'VARCHAR', v: 'INTEGER' })
primaryKey: key
`

/**
 * A project whose sync sends `key` and `v` of a model to such an API. `rows`: a source, and the model of the
 * name `rows`. Default: the rows of `rows.json`.
 */
export function lateProject({
  timeout,
  sync = '',
  rows = ROWS_OF_A_FILE,
}: {
  readonly timeout: string
  readonly sync?: string
  readonly rows?: string
}): string {
  const row = '{"key":{{ row.key | json }},"v":{{ row.v }}}'
  return `${rows}---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
breaker: false
limits: { concurrency: ${CONCURRENCY} }
---
kind: sync
name: rows
model: rows
destination: api
timeout: ${timeout}
removalGuard: false
${sync}
triggers:
  added: { method: POST, path: /set, batch: { size: 3 }, body: { json: '[{% for row in rows %}${row},{% endfor %}]' } }
  changed: added
  removed: { method: POST, path: /remove, body: { json: '[${row}]' } }
`
}

export function rowsJson(rows: ReadonlyMap<string, number>): string {
  return JSON.stringify([...rows].map(([key, v]) => ({ key, v })))
}

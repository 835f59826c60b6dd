/** Posts bodies by undici's `dispatch`, which takes the least of all its ways. The loops beside Sluice do. */
import { Pool } from 'undici'

const HEADERS = ['content-type', 'application/json']

/** The caller asks for room before each body. The first request that fails ends all. */
export class Poster {
  readonly #pool: Pool
  readonly #connections: number
  #underWay = 0
  #error: Error | null = null
  #waiting: (() => void) | null = null
  /** One for all requests, since nothing is kept of each. */
  readonly #handler = {
    onRequestStart: (): void => undefined,
    onResponseStart: (_: unknown, status: number): void => {
      if (status > 299) this.#error ??= new Error(`the receiver answered ${status}`)
    },
    onResponseData: (): void => undefined,
    onResponseEnd: (): void => this.#answered(),
    onResponseError: (_: unknown, error: Error): void => {
      this.#error ??= error
      this.#answered()
    },
  }

  constructor(url: string, connections: number) {
    this.#pool = new Pool(url, { connections, pipelining: 1 })
    this.#connections = connections
  }

  post(body: string | Buffer): void {
    this.#underWay += 1
    this.#pool.dispatch({ method: 'POST', path: '/', headers: HEADERS, body }, this.#handler)
  }

  /** Null if a connection is free; else resolves once one is. Rejects once a request has failed. */
  room(): Promise<void> | null {
    return this.#underWay < this.#connections && this.#error === null
      ? null
      : this.#untilFewerThan(this.#connections)
  }

  /** Resolves once all requests are answered. */
  async end(): Promise<void> {
    await this.#untilFewerThan(1)
    await this.#pool.close()
  }

  async #untilFewerThan(count: number): Promise<void> {
    while (this.#error === null && this.#underWay >= count)
      await new Promise<void>(resolve => (this.#waiting = resolve))
    if (this.#error !== null) throw this.#error
  }

  #answered(): void {
    this.#underWay -= 1
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.()
  }
}

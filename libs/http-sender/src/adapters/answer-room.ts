import type { ByteShare } from '@sluice/flow/byte-budget'

/** Room in memory for one answer. It is asked for when the object is made, and given back by `leave`. */
export class AnswerRoom {
  readonly #share: ByteShare
  readonly #bytes: number
  readonly #leaving = new AbortController()
  #state: 'waiting' | 'there' | 'left' = 'waiting'
  /** True once there is room, false if `leave` was called before. Never rejects. */
  readonly there: Promise<boolean>

  constructor(share: ByteShare, bytes: number) {
    this.#share = share
    this.#bytes = bytes
    this.there = share.take(bytes, { signal: this.#leaving.signal }).then(
      () => this.#arrived(),
      () => false,
    )
  }

  get isThere(): boolean {
    return this.#state === 'there'
  }

  leave(): void {
    if (this.#state === 'there') this.#share.give(this.#bytes)
    this.#state = 'left'
    this.#leaving.abort()
  }

  #arrived(): boolean {
    if (this.#state === 'left') {
      this.#share.give(this.#bytes)
      return false
    }
    this.#state = 'there'
    return true
  }
}

import type { Abortable } from './abortable.ts'

/**
 * A budget of bytes that several owners share. One half is divided among their shares evenly, so that an
 * owner that keeps much for long leaves the others their part. The other half is for the owner that asks
 * first.
 *
 * An owner that has taken nothing always gets what it asks for, however much, since it could never go on
 * otherwise. Only these requests make the sum exceed the limit.
 */
export class ByteBudget {
  readonly #limitBytes: number
  readonly #shares = new Set<Share>()
  readonly #waiting = new Set<Waiter>()
  #takenBytes = 0
  /** The sum of what shares have taken beyond their parts. */
  #beyondBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** The bytes that all shares have taken now. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** The number of open shares. */
  get shares(): number {
    return this.#shares.size
  }

  /** Opens a share for one owner. Disposing closes it. */
  open(): ByteShare {
    const share: Share = new Share({
      mayTake: bytes => this.#mayTake(share, bytes),
      change: change => this.#change(share, change),
      wait: waiter => this.#waiting.add(waiter),
      leave: waiter => this.#waiting.delete(waiter),
      close: () => this.#close(share),
    })
    this.#shares.add(share)
    this.#divideAgain()
    return share
  }

  get #partBytes(): number {
    return this.#limitBytes / 2 / Math.max(1, this.#shares.size)
  }

  #mayTake(share: Share, bytes: number): boolean {
    if (share.takenBytes === 0) return true
    const beyond = Math.max(0, share.takenBytes + bytes - this.#partBytes)
    if (beyond === 0) return true
    const others = this.#beyondBytes - Math.max(0, share.takenBytes - this.#partBytes)
    return others + beyond <= this.#limitBytes / 2
  }

  #change(share: Share, change: number): void {
    // A closed share has given its bytes back already.
    if (!this.#shares.has(share)) return
    const part = this.#partBytes
    this.#beyondBytes -= Math.max(0, share.takenBytes - part)
    share.takenBytes += change
    this.#takenBytes += change
    this.#beyondBytes += Math.max(0, share.takenBytes - part)
    if (change < 0) this.#wake()
  }

  #close(share: Share): void {
    if (!this.#shares.delete(share)) return
    this.#takenBytes -= share.takenBytes
    share.takenBytes = 0
    this.#divideAgain()
    this.#wake()
  }

  #divideAgain(): void {
    this.#beyondBytes = 0
    for (const { takenBytes } of this.#shares) this.#beyondBytes += Math.max(0, takenBytes - this.#partBytes)
  }

  /**
   * Serves the callers in the order in which they came. A caller that wants much does not delay one that
   * wants little.
   */
  #wake(): void {
    for (const waiter of this.#waiting) waiter()
  }
}

/** The part of a budget that belongs to one owner. */
export interface ByteShare extends Disposable {
  readonly takenBytes: number
  /** Takes the bytes once there is room for them. Rejects with the signal's reason if it aborts first. */
  take(bytes: number, options: Abortable): Promise<void>
  /** Takes the bytes if there is room for them now; false if there is none. */
  tryTake(bytes: number): boolean
  /** Takes bytes at once, for data that is in memory already. */
  add(bytes: number): void
  give(bytes: number): void
}

/** Checks whether there is room now. */
type Waiter = () => void

interface Ties {
  mayTake(bytes: number): boolean
  change(change: number): void
  wait(waiter: Waiter): void
  leave(waiter: Waiter): void
  close(): void
}

class Share implements ByteShare {
  readonly #ties: Ties
  /** The budget keeps this number. */
  takenBytes = 0

  constructor(ties: Ties) {
    this.#ties = ties
  }

  tryTake(bytes: number): boolean {
    if (!this.#ties.mayTake(bytes)) return false
    this.#ties.change(bytes)
    return true
  }

  take(bytes: number, { signal }: Abortable): Promise<void> {
    const ties = this.#ties
    return new Promise((resolve, reject) => {
      const end = (): void => {
        ties.leave(look)
        signal.removeEventListener('abort', onAbort)
      }
      const look = (): void => {
        if (!this.tryTake(bytes)) return
        end()
        resolve()
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason)
      }
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      signal.addEventListener('abort', onAbort, { once: true })
      ties.wait(look)
      look()
    })
  }

  add(bytes: number): void {
    this.#ties.change(bytes)
  }

  give(bytes: number): void {
    this.#ties.change(-bytes)
  }

  [Symbol.dispose](): void {
    this.#ties.close()
  }
}

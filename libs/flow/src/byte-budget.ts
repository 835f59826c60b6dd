import type { Abortable } from './abortable.ts'

/**
 * Bytes that several owners of shares use together. One half is divided among the shares evenly, whatever the
 * others have taken. So an owner that keeps much for long leaves the others their part. The other half is for
 * the owner that asks first.
 *
 * An owner that has taken nothing always gets what it asks for, however much that is. Otherwise it could
 * never go on. So the sum stays below the limit, but for what such single requests have beyond their part.
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

  /** What all shares have taken now. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** How many shares are open. */
  get shares(): number {
    return this.#shares.size
  }

  /** A share for one owner, open until it is disposed of. */
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
    // Bytes that come back late were given back when the share was closed.
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
   * Serves the callers in the order in which they came. A caller that wants much does not stop one that wants
   * little.
   */
  #wake(): void {
    for (const waiter of this.#waiting) waiter()
  }
}

/** The part of a budget that one owner has. */
export interface ByteShare extends Disposable {
  readonly takenBytes: number
  /** Waits until there is room for so many bytes; rejects with the signal's reason when it aborts first. */
  take(bytes: number, options: Abortable): Promise<void>
  /** Takes so many bytes if there is room for them now. */
  tryTake(bytes: number): boolean
  /** Takes bytes at once, for data that is in memory already. */
  add(bytes: number): void
  give(bytes: number): void
}

/** Looks whether there is room now. */
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
  /** The budget keeps this figure. */
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

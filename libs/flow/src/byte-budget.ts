import type { Abortable } from './abortable.ts'

/**
 * Bytes that several holders share. One half is divided among them evenly, whatever the others hold, so that
 * one that holds on to much for long leaves the others their part; the other half is for whoever comes first.
 * A holder with nothing in hand always gets what it asks for, however much that is: it can go on, if only one
 * by one. So the sum stays below the limit, but for what such single ones have beyond their part.
 */
export class ByteBudget {
  readonly #limitBytes: number
  readonly #shares = new Set<Share>()
  readonly #waiting = new Set<Waiter>()
  #takenBytes = 0
  /** What of it is beyond the parts of those who hold it. */
  #beyondBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** What all shares hold now. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** How many shares are open. */
  get shares(): number {
    return this.#shares.size
  }

  /** A share for one holder, open until it is disposed of. */
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
    // What comes back late was given back when the share was closed.
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

  /** Those who came first are served first, and one that wants much holds up nobody who wants little. */
  #wake(): void {
    for (const waiter of this.#waiting) waiter()
  }
}

/** What one holder has of a budget. */
export interface ByteShare extends Disposable {
  readonly takenBytes: number
  /** Waits until there is room for so many bytes; rejects with the signal's reason when it aborts first. */
  take(bytes: number, options: Abortable): Promise<void>
  /** Takes them at once: they are there already. */
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
  /** Kept by the budget. */
  takenBytes = 0

  constructor(ties: Ties) {
    this.#ties = ties
  }

  take(bytes: number, { signal }: Abortable): Promise<void> {
    const ties = this.#ties
    return new Promise((resolve, reject) => {
      const end = (): void => {
        ties.leave(look)
        signal.removeEventListener('abort', onAbort)
      }
      const look = (): void => {
        if (!ties.mayTake(bytes)) return
        end()
        ties.change(bytes)
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

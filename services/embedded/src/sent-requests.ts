/**
 * A file with the partitions of this folder whose requests may be under way. From it, a successor knows until
 * when requests of a killed process may still arrive (PROTOCOL.md §8).
 *
 * For each partition the file has a time. While requests are under way, the time is moved on again and again.
 * Once none is, the partition leaves the file. The file may name too many partitions, but never too few. So
 * it is written before a request goes out. If it cannot be read, all partitions count as in it.
 *
 * Times are by the steady clock of the machine, which all of its processes share. The clock starts again with
 * the machine. So the times count only on the machine, and since the start, that the file names.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { LateSends, SendUnderWay } from '@sluice/delivery/run/maybe-sent'
import { diskFailure } from '@sluice/domain/disk-failure'

/** While a request is under way, the file is at most this old, unless the process is suspended. */
const NOTED_EVERY_MS = 500
/** A request may go out if the note in the file is at most this old. */
const NOTE_COUNTS_MS = 1_000
/** A partition leaves the file this long after its last request. */
const TAKEN_OUT_AFTER_MS = 20
/**
 * The time of a request beyond its time-out: the age of a note, and as long again for a process that pauses.
 */
const MARGIN_MS = 2 * NOTE_COUNTS_MS

/** The file begins with this name. A file of another format counts as unreadable. */
const FORMAT = 'under-way/1'

interface Notes {
  readonly machine: string
  /** The time of writing. */
  readonly at: number
  /** The file lacks requests that went out before this time. Null if it has all. */
  readonly since: number | null
  /** By partition, the time until which requests may be under way. */
  readonly until: { readonly [partition: string]: number }
}

export interface SentRequestsOptions {
  readonly file: string
  /** True if no process can have sent anything before. */
  readonly isNew: boolean
  /** Names this machine since its last start. */
  readonly machine?: string
  /** Ms on a clock that all processes of the machine share, and that is never set. */
  readonly now?: () => number
  /** Writes from the beginning of the file on. Default: to the disk. */
  readonly write?: (fd: number, text: string) => void
}

/**
 * Opens the file, which only one process may have open. Throws `disk` or `unreachable` if it cannot be
 * written. Disposing the result stops the notes. Requests under way then count as abandoned.
 */
export function openSentRequests(options: SentRequestsOptions): LateSends & Disposable {
  return new SentRequests(options)
}

interface Sends {
  underWay: number
  /** The longest time-out among the requests under way. */
  timeoutMs: number
  notedMs: number
  /** Requests that were abandoned may arrive until this time. */
  lateUntilMs: number
}

class SentRequests implements LateSends, Disposable {
  readonly #file: string
  readonly #fd: number
  readonly #machine: string
  readonly #now: () => number
  readonly #writeFirst: (fd: number, text: string) => void
  readonly #since: number | null
  readonly #sends = new Map<string, Sends>()
  #length = 0
  #isClosed = false
  #timer: { readonly handle: NodeJS.Timeout; readonly dueMs: number } | null = null

  constructor(options: SentRequestsOptions) {
    const { file, isNew, machine = machineName(), now = steadyMs, write = writeFirst } = options
    this.#file = file
    this.#writeFirst = write
    this.#machine = machine
    this.#now = now
    const nowMs = now()
    const { text, known } = readNotes(file, { machine, nowMs })
    this.#length = text.length
    this.#since = known === null ? (isNew ? null : nowMs) : known.since
    for (const [partition, lateUntilMs] of Object.entries(known?.until ?? {})) {
      if (lateUntilMs <= nowMs) continue
      this.#sends.set(partition, { underWay: 0, timeoutMs: 0, notedMs: -Infinity, lateUntilMs })
    }
    this.#fd = this.#writing(() => openSync(file, known === null ? 'w' : 'r+', 0o600))
    if (known === null) this.#write(nowMs)
  }

  begin(partition: string, timeoutMs: number): SendUnderWay {
    const nowMs = this.#now()
    const none = { underWay: 0, timeoutMs: 0, notedMs: -Infinity, lateUntilMs: -Infinity }
    const sends = this.#sends.get(partition) ?? none
    const isNoted = nowMs - sends.notedMs <= NOTE_COUNTS_MS && timeoutMs <= sends.timeoutMs
    const { timeoutMs: timeoutBefore } = sends
    this.#sends.set(partition, sends)
    sends.underWay += 1
    sends.timeoutMs = Math.max(timeoutBefore, timeoutMs)
    try {
      if (!isNoted) this.#write(nowMs)
    } catch (error) {
      sends.underWay -= 1
      // The file does not have the longer time-out. So the next request with it is noted again.
      sends.timeoutMs = timeoutBefore
      throw error
    }
    this.#lookIn(NOTED_EVERY_MS)
    const end = (): void => {
      sends.underWay -= 1
      if (sends.underWay === 0) this.#lookIn(TAKEN_OUT_AFTER_MS)
    }
    const abandoned = (): void => {
      sends.lateUntilMs = Math.max(sends.lateUntilMs, this.#now() + timeoutMs + MARGIN_MS)
      end()
    }
    return { finished: end, abandoned }
  }

  ofPredecessor(partition: string): ReturnType<LateSends['ofPredecessor']> {
    const offsetMs = performance.now() - this.#now()
    const lateUntilMs = this.#sends.get(partition)?.lateUntilMs ?? -Infinity
    const since = this.#since ?? -Infinity
    return ({ timeoutMs }) => offsetMs + Math.max(lateUntilMs, since + timeoutMs + MARGIN_MS)
  }

  #lookIn(ms: number): void {
    const dueMs = this.#now() + ms
    if (this.#timer !== null && this.#timer.dueMs <= dueMs) return
    clearTimeout(this.#timer?.handle)
    this.#timer = { handle: setTimeout(() => this.#look(), ms).unref(), dueMs }
  }

  #look(): void {
    this.#timer = null
    const nowMs = this.#now()
    for (const [partition, { underWay, lateUntilMs }] of this.#sends)
      if (underWay === 0 && lateUntilMs <= nowMs) this.#sends.delete(partition)
    try {
      this.#write(nowMs)
    } catch {
      // The next request goes out only once this is written.
    }
    if ([...this.#sends.values()].some(({ underWay }) => underWay > 0)) this.#lookIn(NOTED_EVERY_MS)
  }

  /** A write of less than a page is there as a whole or not at all, whenever the process is killed. */
  #write(nowMs: number): void {
    const until: Record<string, number> = {}
    for (const [partition, { underWay, timeoutMs, lateUntilMs }] of this.#sends) {
      const ownMs = underWay > 0 ? nowMs + timeoutMs + MARGIN_MS : -Infinity
      const untilMs = Math.max(ownMs, lateUntilMs)
      if (untilMs > nowMs) until[partition] = untilMs
    }
    const known: Notes = { machine: this.#machine, at: nowMs, since: this.#since, until }
    const text = withHash(JSON.stringify(known))
    this.#length = Math.max(this.#length, text.length)
    this.#writing(() => {
      // The descriptor may belong to another file by now.
      if (this.#isClosed) throw new Error('the file is closed')
      this.#writeFirst(this.#fd, text.padEnd(this.#length))
    })
    // An idle partition has left the file, so its next request needs a note.
    for (const sends of this.#sends.values()) sends.notedMs = sends.underWay > 0 ? nowMs : -Infinity
  }

  #writing<Result>(write: () => Result): Result {
    try {
      return write()
    } catch (cause) {
      const what = `${this.#file} cannot be written, and no request goes out without a note in it`
      const reason = messageOf(cause)
      throw (
        diskFailure(what, cause) ??
        new SluiceError('unreachable', `${what}: ${reason}`, { cause, retryable: true })
      )
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer?.handle)
    this.#look()
    clearTimeout(this.#timer?.handle)
    this.#isClosed = true
    closeSync(this.#fd)
  }
}

/** Reads the file. `known` is null if it was written in part, on another machine, or before a restart. */
function readNotes(
  file: string,
  { machine, nowMs }: { readonly machine: string; readonly nowMs: number },
): { readonly text: string; readonly known: Notes | null } {
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
    const [, json = ''] = /^\S+ \S+ (.*)$/.exec(text.trimEnd()) ?? []
    if (text.trimEnd() !== withHash(json)) return { text, known: null }
    const known: unknown = JSON.parse(json)
    const counts = isNotes(known) && known.machine === machine && known.at <= nowMs
    return { text, known: counts ? known : null }
  } catch {
    return { text, known: null }
  }
}

/** True for notes of this format. A text with the right hash has all of its fields. */
function isNotes(value: unknown): value is Notes {
  return typeof value === 'object' && value !== null && 'machine' in value && 'at' in value
}

/** The text with its format and hash. The hash shows whether all of it was written. */
function withHash(json: string): string {
  return `${FORMAT} ${createHash('sha256').update(json).digest('hex')} ${json}`
}

function writeFirst(fd: number, text: string): void {
  writeSync(fd, text, 0)
}

function steadyMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** On Linux, an id of this start of this machine. Elsewhere a restart makes waits longer, never shorter. */
function machineName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return hostname()
  }
}

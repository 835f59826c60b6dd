/**
 * Which requests of this folder may be under way, in a file. So a successor knows until when requests of a
 * process that was killed may still arrive (PROTOCOL.md §8).
 *
 * Of each partition the file says until when. While requests are under way, that is put off again and again.
 * Once none is, the partition is taken out. The file may say more than is true, and never less. So it is
 * written before a request goes out, and a file that cannot be read counts as one that says everything.
 *
 * Times are by the steady clock of the machine, which all of its processes share. It begins anew with the
 * machine. So they count only on the machine, and since the start, of which the file tells.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { LateSends, SendUnderWay } from '@sluice/delivery/run/maybe-sent'
import { diskFailure } from '@sluice/domain/disk-failure'

/** While a request is under way, the file is at most so old, unless the process cannot work. */
const NOTED_EVERY_MS = 500
/** A request goes out by a note that is at most so old. */
const NOTE_COUNTS_MS = 1_000
/** A partition is taken out so soon after its last request. */
const TAKEN_OUT_AFTER_MS = 20
/** What a request may take besides its time-out: the age of a note, and as long for a process that pauses. */
const MARGIN_MS = 2 * NOTE_COUNTS_MS

/** The file begins with it. Other formats cannot be read. */
const FORMAT = 'under-way/1'

interface Notes {
  readonly machine: string
  /** When this was written. */
  readonly at: number
  /** Of requests that went out before, the file says nothing. Null: it tells of all. */
  readonly since: number | null
  /** By partition. */
  readonly until: { readonly [partition: string]: number }
}

export interface SentRequestsOptions {
  readonly file: string
  /** True if no process can have sent anything before. */
  readonly isNew: boolean
  /** Names this machine since its last start. */
  readonly machine?: string
  /** In ms, by a clock that all processes of the machine share, and that nobody sets. */
  readonly now?: () => number
  /** Writes from the beginning of the file on. Another one than the default is for tests. */
  readonly write?: (fd: number, text: string) => void
}

/**
 * Only one process may have the file open. Throws `disk` or `unreachable` if it cannot be written. Disposing
 * it stops the notes; what is under way then counts as abandoned.
 */
export function openSentRequests(options: SentRequestsOptions): LateSends & Disposable {
  return new SentRequests(options)
}

interface Sends {
  underWay: number
  /** The longest of those under way. */
  timeoutMs: number
  notedMs: number
  /** Until when requests may arrive whose outcome nobody will see. */
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
      // The file does not tell of the longer one, so that the next request needs a note again.
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
      // The next request does not go out unless this can be written.
    }
    if ([...this.#sends.values()].some(({ underWay }) => underWay > 0)) this.#lookIn(NOTED_EVERY_MS)
  }

  /** One write of less than a page is whole or not there, whenever the process is killed. */
  #write(nowMs: number): void {
    const until: Record<string, number> = {}
    for (const [partition, { underWay, timeoutMs, lateUntilMs }] of this.#sends) {
      const ownMs = underWay > 0 ? nowMs + timeoutMs + MARGIN_MS : -Infinity
      const untilMs = Math.max(ownMs, lateUntilMs)
      if (untilMs > nowMs) until[partition] = untilMs
    }
    const known: Notes = { machine: this.#machine, at: nowMs, since: this.#since, until }
    const text = sealed(JSON.stringify(known))
    this.#length = Math.max(this.#length, text.length)
    this.#writing(() => {
      // Its number may be that of another file by now.
      if (this.#isClosed) throw new Error('the file is closed')
      this.#writeFirst(this.#fd, text.padEnd(this.#length))
    })
    // What rests is in the file no more, so that its next request needs a note.
    for (const sends of this.#sends.values()) sends.notedMs = sends.underWay > 0 ? nowMs : -Infinity
  }

  #writing<Result>(write: () => Result): Result {
    try {
      return write()
    } catch (cause) {
      const what = `cannot note in ${this.#file} which requests are under way`
      const said = messageOf(cause)
      throw (
        diskFailure(what, cause) ??
        new SluiceError('unreachable', `${what}: ${said}`, { cause, retryable: true })
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

/** Null if they were written in part, on another machine, or before the clock began anew. */
function readNotes(
  file: string,
  { machine, nowMs }: { readonly machine: string; readonly nowMs: number },
): { readonly text: string; readonly known: Notes | null } {
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
    const [, json = ''] = /^\S+ \S+ (.*)$/.exec(text.trimEnd()) ?? []
    if (text.trimEnd() !== sealed(json)) return { text, known: null }
    const known: unknown = JSON.parse(json)
    const counts = isNotes(known) && known.machine === machine && known.at <= nowMs
    return { text, known: counts ? known : null }
  } catch {
    return { text, known: null }
  }
}

/** What was written as a whole has the fields of its format. */
function isNotes(value: unknown): value is Notes {
  return typeof value === 'object' && value !== null && 'machine' in value && 'at' in value
}

/** Its hash shows whether all of it was written. */
function sealed(json: string): string {
  return `${FORMAT} ${createHash('sha256').update(json).digest('hex')} ${json}`
}

function writeFirst(fd: number, text: string): void {
  writeSync(fd, text, 0)
}

function steadyMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** Linux says which start of which machine this is. Elsewhere a restart makes waits longer, never shorter. */
function machineName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return hostname()
  }
}

/** The harness that an adapter's test provides, and the functions that the contract's tests use. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import type {
  Assignment,
  LogRecord,
  Membership,
  MessageLog,
  NewRecord,
  TopicPartition,
  TopicSpec,
} from '../src/port.ts'

/** The key of records that `compactNow` may append to trigger compaction. The suite passes over them. */
export const FILLER_KEY = 'contract-filler'

/** The part of testkit's TcpProxy that the suite uses. */
export interface FaultProxy {
  set(mode: { kind: 'pass' } | { kind: 'refuse' } | { kind: 'swallow' }): Promise<void>
  cut(): void
  swallowed(): Promise<void>
  readonly bytesUp: number
}

export interface Faults {
  readonly proxy: FaultProxy
  /** Opens a log on the harness's storage whose every connection goes through the proxy. */
  open(): Promise<MessageLog>
}

export interface MessageLogHarness {
  /** Opens another log on the same storage. The suite closes it. */
  open(): Promise<MessageLog>
  /**
   * Compacts a topic. Resolves once all records are gone that were superseded before the call, except those
   * that the topic's lag protects. May append records with FILLER_KEY to any partition.
   */
  compactNow(topic: string): Promise<void>
  /** Makes the log forget what the group has committed, as if it had expired. The group has no members. */
  forgetGroup(group: string): Promise<void>
  /** Present for a remote log. */
  readonly faults?: Faults
  close(): Promise<void>
}

export interface Signalled {
  readonly signal: AbortSignal
}

/** The harness, one log for all tests of the suite, and names that no other test uses. */
export class Fixture {
  readonly #start: () => Promise<MessageLogHarness>
  #harness: MessageLogHarness | null = null
  #log: MessageLog | null = null

  constructor(start: () => Promise<MessageLogHarness>) {
    this.#start = start
  }

  /** Registers start and end of the suite with the test runner. */
  register(): void {
    beforeAll(async () => {
      this.#harness = await this.#start()
      this.#log = await this.#harness.open()
    })
    afterAll(async () => {
      await this.#log?.[Symbol.asyncDispose]()
      await this.#harness?.close()
    })
  }

  get harness(): MessageLogHarness {
    if (this.#harness === null) throw new Error('the suite has not started')
    return this.#harness
  }

  get log(): MessageLog {
    if (this.#log === null) throw new Error('the suite has not started')
    return this.#log
  }

  get faults(): Faults {
    const { faults } = this.harness
    if (faults === undefined) throw new Error('a remote log needs connections that can be made to fail')
    return faults
  }

  name(what = 'topic'): string {
    return `contract.${what}.${randomUUID()}`
  }

  /** Makes a topic with a name of its own. By default it has one partition and no clean-up. */
  async topic(options: Signalled, spec: Partial<TopicSpec> = {}): Promise<string> {
    const topic = this.name()
    await this.log.ensureTopics([{ topic, partitions: 1, cleanup: 'delete', ...spec }], options)
    return topic
  }

  /** Makes a topic of one partition and returns that. */
  async partition(options: Signalled, spec: Partial<TopicSpec> = {}): Promise<TopicPartition> {
    return { topic: await this.topic(options, spec), partition: 0 }
  }
}

export function record(key: string, value: string | null = key): NewRecord {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
}

/** `count` records whose keys are the name and their number. */
export function records(name: string, count: number, valueBytes = 20): NewRecord[] {
  return Array.from({ length: count }, (_, i) => record(`${name}-${i}`, 'v'.repeat(valueBytes)))
}

export function keyOf(read: LogRecord): string {
  return Buffer.from(read.key).toString()
}

export function valueOf(read: LogRecord): string | null {
  return read.value === null ? null : Buffer.from(read.value).toString()
}

/** All records from `from` (default: the low offset) to the present end, without fillers. */
export async function readAll(
  log: MessageLog,
  target: TopicPartition,
  options: Signalled & { from?: number; to?: number; bufferBytes?: number },
): Promise<LogRecord[]> {
  const { signal, bufferBytes } = options
  const { low, end } = await log.offsets(target, { signal })
  const range = { from: options.from ?? low, to: options.to ?? end }
  const found: LogRecord[] = []
  let position = range.from
  for await (const batch of log.read(target, { signal, ...range, ...(bufferBytes && { bufferBytes }) })) {
    // These rules hold for every batch that any reader sees.
    for (const read of batch.records) {
      if (read.offset < position) throw new Error(`offset ${read.offset} came after ${position - 1}`)
      if (read.offset >= range.to)
        throw new Error(`offset ${read.offset} came, though reading ends at ${range.to}`)
      position = read.offset + 1
      if (keyOf(read) !== FILLER_KEY) found.push(read)
    }
    if (batch.nextOffset < position) throw new Error(`next offset ${batch.nextOffset} lies below ${position}`)
    position = batch.nextOffset
  }
  return found
}

export async function keysIn(log: MessageLog, target: TopicPartition, options: Signalled): Promise<string[]> {
  return (await readAll(log, target, options)).map(keyOf)
}

/** Follows a partition until `count` records have come. */
export async function follow(
  log: MessageLog,
  target: TopicPartition,
  options: Signalled & { from?: number; count: number },
): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  if (options.count === 0) return found
  for await (const batch of log.read(target, { signal: options.signal, from: options.from ?? 0 })) {
    found.push(...batch.records.filter(read => keyOf(read) !== FILLER_KEY))
    if (found.length >= options.count) break
  }
  return found
}

/** The SluiceError code with which a promise rejects, or its other error or value. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await promise }
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

/** The code with which the first step of a reading rejects. */
export function codeOfFirstStep(reading: AsyncIterable<unknown>): Promise<unknown> {
  return codeOf(reading[Symbol.asyncIterator]().next())
}

/** Watches a membership: takes its assignments as they come, and knows the latest. */
export class Watched implements AsyncDisposable {
  readonly membership: Membership
  readonly seen: Assignment[] = []
  /** Resolves when the iteration ends, with the error if it threw. */
  readonly ended: Promise<unknown>
  readonly changes: Notifier

  constructor(membership: Membership, changes = new Notifier()) {
    this.membership = membership
    this.changes = changes
    this.ended = this.#run().then(
      () => null,
      (error: unknown) => error,
    )
  }

  async #run(): Promise<void> {
    for await (const assignment of this.membership) {
      this.seen.push(assignment)
      this.changes.notify()
    }
  }

  get owned(): string[] {
    return (this.seen.at(-1)?.partitions ?? []).map(nameOf).toSorted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.membership.leave()
    await this.ended
  }
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

/** Waits until a condition on watched memberships, which share a notifier, holds. */
export async function until(changes: Notifier, options: Signalled, holds: () => boolean): Promise<void> {
  for (;;) {
    const seen = changes.version
    if (holds()) return
    await changes.after(seen, options)
  }
}

/** True if the members own `count` partitions, each once, and no member has over one more than another. */
export function isShared(members: readonly Watched[], count: number): boolean {
  const all = members.flatMap(member => member.owned)
  const loads = members.map(member => member.owned.length)
  return all.length === count && new Set(all).size === count && Math.max(...loads) - Math.min(...loads) <= 1
}

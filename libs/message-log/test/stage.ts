import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import type { MessageLog, TopicPartition } from '../src/port.ts'
import {
  keyOf,
  keysIn,
  nameOf,
  readAll,
  record,
  until,
  valueOf,
  type Fixture,
  type Signalled,
} from './fixture.ts'

/**
 * A stage like those of the pipeline. It owns partitions of `input`, and copies each record to the same
 * partition of `output`. Only its own output says where it goes on. While it keeps a partition, its work
 * there goes on through every rebalance.
 */
class GroupedWorkers {
  readonly #log: MessageLog
  readonly #topics: { input: string; output: string }
  readonly #work = new Map<number, { stop: AbortController; done: Promise<void> }>()
  readonly #running: Promise<void>
  readonly #changes: Notifier
  /** The number of times that the stage has begun work on a partition. */
  takeovers = 0
  readonly leave: () => Promise<void>

  private constructor(options: {
    log: MessageLog
    topics: { input: string; output: string }
    assignments: AsyncIterable<{ partitions: readonly TopicPartition[] }>
    leave: () => Promise<void>
    changes: Notifier
  }) {
    this.#log = options.log
    this.#topics = options.topics
    this.#changes = options.changes
    this.#running = this.#follow(options.assignments)
    this.leave = async () => {
      await options.leave()
      await this.#running
    }
  }

  static async start(
    log: MessageLog,
    options: Signalled & { group: string; topics: { input: string; output: string }; changes: Notifier },
  ): Promise<GroupedWorkers> {
    const membership = await log.join(options.group, [options.topics.input], options)
    const leave = () => membership.leave()
    return new GroupedWorkers({
      log,
      topics: options.topics,
      assignments: membership,
      leave,
      changes: options.changes,
    })
  }

  get owned(): number {
    return this.#work.size
  }

  async #follow(assignments: AsyncIterable<{ partitions: readonly TopicPartition[] }>): Promise<void> {
    for await (const { partitions } of assignments) {
      const owned = new Set(partitions.map(({ partition }) => partition))
      await this.#stop([...this.#work.keys()].filter(partition => !owned.has(partition)))
      for (const partition of owned) {
        if (this.#work.has(partition)) continue
        const stop = new AbortController()
        this.takeovers += 1
        this.#work.set(partition, { stop, done: this.#copy(partition, stop.signal) })
      }
      this.#changes.notify()
    }
    await this.#stop([...this.#work.keys()])
  }

  async #stop(partitions: number[]): Promise<void> {
    const ending = partitions.map(partition => this.#work.get(partition))
    for (const partition of partitions) this.#work.delete(partition)
    for (const work of ending) work?.stop.abort()
    await Promise.all(ending.flatMap(work => work?.done ?? []))
  }

  async #copy(partition: number, stopped: AbortSignal): Promise<void> {
    const signal = new AbortController().signal
    const target = { topic: this.#topics.output, partition }
    try {
      await using writer = await this.#log.openWriter(`${nameOf(target)}.stage`, { signal })
      await writer.append(target, [record('takeover')], { signal })
      const from = await this.#position(target, { signal })
      const source = { topic: this.#topics.input, partition }
      for await (const batch of this.#log.read(source, { signal: stopped, from, bufferBytes: 10_000 })) {
        const copies = batch.records.map(read => record(keyOf(read), `${read.offset}`))
        if (copies.length > 0) await writer.append(target, copies, { signal })
        this.#changes.notify()
      }
    } catch (error) {
      // The successor wrote before this stage learned of the new assignment.
      if (!(error instanceof Error && 'code' in error && error.code === 'fenced')) throw error
    }
  }

  async #position(target: TopicPartition, options: Signalled): Promise<number> {
    for await (const read of this.#log.readBackwards(target, options)) {
      if (keyOf(read) !== 'takeover') return Number(valueOf(read)) + 1
    }
    return 0
  }
}

export function stageContract(fixture: Fixture): void {
  test('a stage that goes on from its own output loses and repeats nothing while members come and go', async ({
    signal,
  }) => {
    const partitions = 4
    const topics = {
      input: await fixture.topic({ signal }, { partitions }),
      output: await fixture.topic({ signal }, { partitions }),
    }
    const changes = new Notifier()
    const options = { signal, group: fixture.name('group'), topics, changes }
    let written = 0
    let feeding = true
    const feed = (async () => {
      for (; feeding; written += 1) {
        const target = { topic: topics.input, partition: written % partitions }
        await fixture.log.append(target, [record(`${written}`), record(`${written}+`)], { signal })
      }
    })()
    await using second = await fixture.harness.open()
    await using third = await fixture.harness.open()
    const a = await GroupedWorkers.start(fixture.log, options)
    await until(changes, { signal }, () => a.owned === 4)
    const b = await GroupedWorkers.start(second, options)
    await until(changes, { signal }, () => a.owned === 2 && b.owned === 2)
    // The work in flight on the partitions that `a` keeps has survived, so `a` did not begin it again.
    expect(a.takeovers).toBe(4)
    const c = await GroupedWorkers.start(third, options)
    await until(changes, { signal }, () => a.owned + b.owned + c.owned === 4 && c.owned > 0)
    await a.leave()
    await until(changes, { signal }, () => b.owned === 2 && c.owned === 2)
    await b.leave()
    await until(changes, { signal }, () => c.owned === 4)
    feeding = false
    await feed
    for (let partition = 0; partition < partitions; partition += 1) {
      const wanted = await keysIn(fixture.log, { topic: topics.input, partition }, { signal })
      const output = { topic: topics.output, partition }
      const copied = async () =>
        (await readAll(fixture.log, output, { signal })).filter(read => keyOf(read) !== 'takeover')
      for (;;) {
        const seen = changes.version
        if ((await copied()).length >= wanted.length) break
        await changes.after(seen, { signal })
      }
      expect((await copied()).map(keyOf)).toEqual(wanted)
    }
    await c.leave()
  })
}

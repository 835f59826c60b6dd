/** A topic of a Kafka of its own, which `sluice up` streams to an API. */
import { TopicProducer } from '@sluice/sources/test/topic-producer'
import { startServices, type LocalService } from '../../deploy/local/services.ts'
import { STREAM, StreamedProject } from './streamed-project.ts'
import type { Rows, StreamedTable } from './streamed-tables.ts'

const yamlOf = (topic: string): string => `
kind: source
name: topics
type: kafka
brokers: ['\${BROKERS}']
---
kind: model
name: ${STREAM}
source: topics
topic: ${topic}
format: rows
primaryKey: id
`

export class WrittenProject implements AsyncDisposable, StreamedTable {
  readonly kafka: LocalService
  readonly topic: TopicProducer
  readonly stream: StreamedProject
  readonly #resources: AsyncDisposableStack
  readonly #rows = new Map<string, Readonly<Record<string, unknown>>>()
  #version = 0

  private constructor(parts: {
    readonly kafka: LocalService
    readonly topic: TopicProducer
    readonly stream: StreamedProject
    readonly resources: AsyncDisposableStack
  }) {
    this.kafka = parts.kafka
    this.topic = parts.topic
    this.stream = parts.stream
    this.#resources = parts.resources
  }

  /** Makes the topic with some rows. `fields` are those of the sync. */
  static async open(fields?: string): Promise<WrittenProject> {
    await using resources = new AsyncDisposableStack()
    const services = resources.use(await startServices(['kafka']))
    const kafka = services.get('kafka')
    const topic = resources.use(await TopicProducer.make(kafka.address, { partitions: 2 }))
    const env = { BROKERS: kafka.address }
    const stream = resources.use(await StreamedProject.open({ yaml: yamlOf(topic.topic), env, fields }))
    const opened = new WrittenProject({ kafka, topic, stream, resources: resources.move() })
    await opened.changeRows()
    return opened
  }

  rows(): Promise<Rows> {
    return Promise.resolve(this.#rows)
  }

  /** Changes, adds and removes rows. */
  async changeRows(): Promise<void> {
    await this.#write(['a', 'b', 'c', `new ${this.#version}`])
    await this.#write(['b'], true)
    await this.#write(['a'])
  }

  /** Deletes the topic, and makes another one without rows. */
  async makeAnew(): Promise<void> {
    this.#rows.clear()
    await this.topic.makeAnew()
  }

  async #write(ids: readonly string[], isGone = false): Promise<void> {
    this.#version += 1
    const rows = ids.map(id => ({ id, v: this.#version }))
    await this.topic.write(...rows.map(row => ({ key: { id: row.id }, value: isGone ? null : row })))
    for (const row of rows) {
      if (isGone) this.#rows.delete(row.id)
      else this.#rows.set(row.id, row)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]()
  }
}

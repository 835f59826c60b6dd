/** The data of the benchmarks: files and topics of so many rows, each made once. */
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { PARTITIONS } from './bench-project.ts'
import { rowDocument, writeRows } from './rows.ts'

const ROWS_PER_SEND = 1000

export interface BenchData {
  readonly dir: string
  readonly brokers: string
  /** A CSV file with a header. */
  readonly file: (rows: number) => Promise<string>
  /** A topic with a JSON document for each row. */
  readonly topic: (rows: number) => Promise<string>
}

export function benchData(dir: string, brokers: string): BenchData {
  return {
    dir,
    brokers,
    file: onceEach(count => makeFile(dir, count)),
    topic: onceEach(count => makeTopic(brokers, count)),
  }
}

function onceEach(make: (rows: number) => Promise<string>): (rows: number) => Promise<string> {
  const made = new Map<number, Promise<string>>()
  return async rows => {
    const known = made.get(rows) ?? make(rows)
    made.set(rows, known)
    return await known
  }
}

async function makeFile(dir: string, count: number): Promise<string> {
  const file = join(dir, `rows-${count}.csv`)
  await writeRows(file, count)
  return file
}

/** A client of Kafka that logs nothing. `brokers` has commas between addresses. */
export function kafkaAt(brokers: string): Kafka {
  return new Kafka({ clientId: 'bench', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
}

export async function createTopics(
  brokers: string,
  topics: readonly string[],
  numPartitions = PARTITIONS,
): Promise<void> {
  const admin = kafkaAt(brokers).admin()
  await admin.connect()
  await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions })) })
  await admin.disconnect()
}

async function makeTopic(brokers: string, count: number): Promise<string> {
  const topic = `bench-rows-${count}`
  await createTopics(brokers, [topic])
  const producer = kafkaAt(brokers).producer()
  await producer.connect()
  for (let first = 1; first <= count; first += ROWS_PER_SEND) {
    const size = Math.min(ROWS_PER_SEND, count - first + 1)
    const messages = Array.from({ length: size }, (_, index) => ({
      key: String(first + index),
      value: rowDocument(first + index),
    }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()
  return topic
}

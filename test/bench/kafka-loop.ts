/**
 * The yardstick of the distributed profile: a plain kafkajs consumer that posts rows from a topic in batches,
 * and makes no promises. It reads COUNT rows that were produced before, a JSON document in each record. With
 * `--parse` it parses each and makes the body of the objects; else it joins the bytes. Prints its CPU seconds
 * and peak memory as one JSON document. Run: node test/bench/kafka-loop.ts BROKERS TOPIC COUNT URL [--batch
 * 100] [--parse]
 */
import { parseArgs } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { CONCURRENCY } from './bench-project.ts'
import { Poster } from './poster.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { batch: { type: 'string', default: '100' }, parse: { type: 'boolean', default: false } },
})
const [brokers = '', topic = '', count = '', url = ''] = positionals
const wanted = Number(count)
const size = Number(values.batch)
if (url === '' || !Number.isSafeInteger(wanted) || !Number.isSafeInteger(size)) {
  console.error('usage: node test/bench/kafka-loop.ts BROKERS TOPIC COUNT URL [--batch 100] [--parse]')
  process.exit(2)
}

const [OPEN, COMMA, CLOSE] = ['[', ',', ']'].map(text => Buffer.from(text)) as [Buffer, Buffer, Buffer]
const kafka = new Kafka({ clientId: 'loop', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: `loop-${topic}-${process.pid}`, maxWaitTimeInMs: 250 })
const poster = new Poster(url, CONCURRENCY)
const done = Promise.withResolvers<void>()
let rows = 0

function joined(documents: readonly Buffer[]): Buffer {
  return Buffer.concat([OPEN, ...documents.flatMap((text, at) => (at === 0 ? [text] : [COMMA, text])), CLOSE])
}

function parsed(documents: readonly Buffer[]): string {
  return JSON.stringify(documents.map((text): unknown => JSON.parse(text.toString())))
}

const bodyOf = values.parse ? parsed : joined

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const cpu = process.cpuUsage()
await consumer.run({
  eachBatch: async ({ batch }) => {
    const documents = batch.messages.map(({ value }) => value ?? Buffer.alloc(0))
    for (let first = 0; first < documents.length; first += size) {
      const part = documents.slice(first, first + size)
      await poster.room()
      poster.post(bodyOf(part))
      rows += part.length
    }
    if (rows >= wanted) done.resolve()
  },
})
await done.promise
await poster.end()
const { user, system } = process.cpuUsage(cpu)
console.log(
  JSON.stringify({
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
process.exit(0)

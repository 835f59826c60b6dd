/**
 * The yardstick of the distributed profile: a plain kafkajs consumer that posts rows from a topic in batches,
 * and makes no promises. It reads COUNT rows that were produced before, a JSON document in each record. With
 * `--parse` it parses each and makes the body of the objects; else it joins the bytes. Prints its CPU seconds
 * and peak memory as one JSON document. Run: node test/bench/kafka-loop.ts BROKERS TOPIC COUNT URL [--batch
 * 100] [--parse]
 */
import { parseArgs } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { Pool } from 'undici'
import { CONCURRENCY } from './bench-project.ts'

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
const pool = new Pool(url, { connections: CONCURRENCY, pipelining: 1 })
const underWay = new Set<Promise<void>>()
const done = Promise.withResolvers<void>()
let rows = 0

function joined(documents: readonly Buffer[]): Buffer {
  return Buffer.concat([OPEN, ...documents.flatMap((text, at) => (at === 0 ? [text] : [COMMA, text])), CLOSE])
}

function parsed(documents: readonly Buffer[]): string {
  return JSON.stringify(documents.map((text): unknown => JSON.parse(text.toString())))
}

const bodyOf = values.parse ? parsed : joined

async function post(documents: readonly Buffer[]): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const request = { method: 'POST', path: '/', headers, body: bodyOf(documents) } as const
  const { statusCode, body: answer } = await pool.request(request)
  await answer.dump()
  if (statusCode > 299) throw new Error(`the receiver answered ${statusCode}`)
}

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const cpu = process.cpuUsage()
await consumer.run({
  eachBatch: async ({ batch }) => {
    const documents = batch.messages.map(({ value }) => value ?? Buffer.alloc(0))
    for (let first = 0; first < documents.length; first += size) {
      const part = documents.slice(first, first + size)
      const sending: Promise<void> = post(part).finally(() => underWay.delete(sending))
      underWay.add(sending)
      rows += part.length
      if (underWay.size >= CONCURRENCY) await Promise.race(underWay)
    }
    if (rows >= wanted) done.resolve()
  },
})
await done.promise
await Promise.all(underWay)
const { user, system } = process.cpuUsage(cpu)
console.log(
  JSON.stringify({
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
process.exit(0)

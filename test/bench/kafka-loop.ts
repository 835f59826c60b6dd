/**
 * The yardstick of the distributed profile: a plain kafkajs consumer that posts rows from a topic in batches,
 * and makes no promises. It reads COUNT rows that were produced before, one row of CSV text in each record.
 * Prints one JSON document. Run: node test/bench/kafka-loop.ts BROKERS TOPIC COUNT URL
 */
import { Kafka, logLevel } from 'kafkajs'
import { Pool } from 'undici'
import { COLUMNS } from './rows.ts'

const BATCH = 100
const CONCURRENCY = 100
const [brokers = '', topic = '', count = '', url = ''] = process.argv.slice(2)
const wanted = Number(count)
if (topic === '' || url === '' || !Number.isSafeInteger(wanted)) {
  console.error('usage: node test/bench/kafka-loop.ts BROKERS TOPIC COUNT URL')
  process.exit(2)
}

const kafka = new Kafka({ clientId: 'loop', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const consumer = kafka.consumer({ groupId: `loop-${topic}-${process.pid}`, maxWaitTimeInMs: 250 })
const pool = new Pool(url, { connections: CONCURRENCY, pipelining: 1 })
const underWay = new Set<Promise<void>>()
const done = Promise.withResolvers<void>()
let rows = 0
let requests = 0

async function post(batch: readonly object[]): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(batch)
  const { statusCode, body: answer } = await pool.request({ method: 'POST', path: '/', headers, body })
  await answer.dump()
  if (statusCode > 299) throw new Error(`the receiver answered ${statusCode}`)
}

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const started = performance.now()
const cpu = process.cpuUsage()
await consumer.run({
  eachBatch: async ({ batch }) => {
    const objects = batch.messages.map(({ value }) => {
      const values = value?.toString().split(',') ?? []
      return Object.fromEntries(COLUMNS.map((column, index) => [column, values[index] ?? '']))
    })
    for (let first = 0; first < objects.length; first += BATCH) {
      const part = objects.slice(first, first + BATCH)
      const sending: Promise<void> = post(part).finally(() => underWay.delete(sending))
      underWay.add(sending)
      requests += 1
      rows += part.length
      if (underWay.size >= CONCURRENCY) await Promise.race(underWay)
    }
    if (rows >= wanted) done.resolve()
  },
})
await done.promise
await Promise.all(underWay)
const seconds = (performance.now() - started) / 1000
const { user, system } = process.cpuUsage(cpu)
console.log(
  JSON.stringify({
    rows,
    requests,
    seconds,
    rowsPerSecond: Math.round(rows / seconds),
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
process.exit(0)

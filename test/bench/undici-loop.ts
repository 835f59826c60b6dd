/**
 * The yardstick of the embedded profile: reads a CSV, makes JSON of its rows, and posts them in batches. It
 * makes no promises: it has no diff, no log, no limits and no retries. Prints one JSON document. Run: node
 * test/bench/undici-loop.ts FILE URL [--batch 100] [--concurrency 100]
 */
import { createReadStream } from 'node:fs'
import { parseArgs } from 'node:util'
import { Poster } from './poster.ts'

export interface LoopResult {
  readonly rows: number
  readonly requests: number
  readonly seconds: number
  readonly rowsPerSecond: number
  readonly cpuSeconds: number
  /** The peak of the whole process since its start. */
  readonly peakRssMb: number
}

/** Rows as objects of text, by the simplest parser that reads what rows.ts writes. */
async function* readCsv(file: string): AsyncGenerator<{ [column: string]: string }> {
  let rest = ''
  let columns: readonly string[] | null = null
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const values = line.split(',')
      if (columns === null) columns = values
      else yield Object.fromEntries(columns.map((column, index) => [column, values[index] ?? '']))
    }
  }
}

async function* inBatches<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let batch: Item[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Posts the whole file. Rejects with the first request that is not answered by a 2xx. */
export async function undiciLoop(options: {
  readonly file: string
  readonly url: string
  readonly batch: number
  readonly concurrency: number
}): Promise<LoopResult> {
  const poster = new Poster(options.url, options.concurrency)
  const started = performance.now()
  const cpu = process.cpuUsage()
  let rows = 0
  let requests = 0
  for await (const batch of inBatches(readCsv(options.file), options.batch)) {
    await poster.room()
    poster.post(JSON.stringify(batch))
    rows += batch.length
    requests += 1
  }
  await poster.end()
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    rows,
    requests,
    seconds,
    rowsPerSecond: Math.round(rows / seconds),
    cpuSeconds: (user + system) / 1e6,
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      batch: { type: 'string', default: '100' },
      concurrency: { type: 'string', default: '100' },
    },
  })
  const [file, url] = positionals
  if (file === undefined || url === undefined) {
    console.error('usage: node test/bench/undici-loop.ts FILE URL [--batch 100] [--concurrency 100]')
    process.exit(2)
  }
  const numbers = { batch: Number(values.batch), concurrency: Number(values.concurrency) }
  console.log(JSON.stringify(await undiciLoop({ file, url, ...numbers })))
}

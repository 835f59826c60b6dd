/**
 * The yardstick of a followed table: a loop that has the same reader of PostgreSQL's log, posts the rows, and
 * makes no promises. It first makes its slot and prints `ready`. After a line on stdin it reads COUNT
 * entries, and prints its rate, CPU seconds and peak memory as one JSON document. Run: node
 * test/bench/stream-loop.ts URL TABLE COUNT RECEIVER [--batch 100]
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createPostgresStreamSource } from '@sluice/sources/adapters/postgres-stream'
import { CONCURRENCY } from './bench-project.ts'
import { Poster } from './poster.ts'

const BOUNDS = { rows: 5_000, bytes: 4 * 1024 * 1024, waitMs: 5 }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { batch: { type: 'string', default: '100' } },
})
const [database = '', table = '', count = '', receiver = ''] = positionals
const [wanted, size] = [Number(count), Number(values.batch)]
const url = new URL(database)
const { signal } = new AbortController()
await using source = createPostgresStreamSource({
  spec: {
    ...{ kind: 'source', name: 'bench', type: 'postgres', timeout: 3_600_000, follow: {} },
    url: url.href,
    allowPrivateNetwork: true,
  },
  sync: 'bench-loop',
  secretFor: () => '',
})
const model = { kind: 'model', name: 'changes', source: 'bench', table, primaryKey: 'id' } as const
const poster = new Poster(receiver, CONCURRENCY)
const opened = await source.open(model, null, { signal })
if (opened.kind === 'break') throw new Error(opened.detail)
const folder = await mkdtemp(join(tmpdir(), 'sluice-loop-'))
await opened.reader.compare({ file: join(folder, 'rows.duckdb'), signal })
await rm(folder, { recursive: true })
console.log('ready')
await once(process.stdin, 'data')

const cpu = process.cpuUsage()
const start = performance.now()
for (let rows = 0; rows < wanted;) {
  const slice = await opened.reader.next({ ...BOUNDS, signal })
  if (slice.kind === 'break') throw new Error(slice.detail)
  opened.reader.acknowledged(slice.position)
  for (let first = 0; first < slice.entries.length; first += size) {
    const part = slice.entries.slice(first, first + size).map(({ row }) => row)
    await poster.room()
    poster.post(JSON.stringify(part))
  }
  rows += slice.entries.length
}
await poster.end()
const seconds = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(cpu)
const used = {
  cpuSeconds: (user + system) / 1e6,
  peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
}
console.log(JSON.stringify({ rowsPerSecond: wanted / seconds, ...used }))
await opened.reader[Symbol.asyncDispose]()
await source.release(model, { signal })
process.exit(0)

/**
 * The memory of the embedded process while requests wait: for a limit of one a minute, for their next try,
 * and with bodies of 1 MB. Delivery holds no more of them than its window and its buffers take.
 */
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder } from '../e2e/project-folder.ts'
import { PeakMemory } from './peak-memory.ts'

const { signal } = new AbortController()
/** The aim for the one process that detects, renders and delivers (docs/PERFORMANCE.md). */
const MAX_MB = 700
/** More than this many requests are never in work (PROTOCOL.md §8). */
const WINDOW_REQUESTS = 10_000
const FAILING = 'errors: { retry: now, attempts: 5, backoff: { first: 30m, max: 30m } }'
const SMALL = `'{"text":"{{ row.text }}"}'`
/** 1 MB of a row of 1 KB. */
const LARGE = `'{"text":"{% for i in (1..1000) %}{{ row.text }}{% endfor %}"}'`

interface Waiting {
  readonly rows: number
  readonly body: string
  readonly fails: boolean
}

function yamlOf({ rows, body, fails }: Waiting): string {
  const rate = fails ? 'requests: 3000, per: second' : 'requests: 1, per: minute'
  return `kind: source
name: files
type: duckdb
path: .
---
kind: model
name: rows
source: files
sql: select range as id, repeat('t', 1000) as text from range(${rows})
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
breaker: false
limits: { rate: { ${rate} } }
---
kind: sync
name: rows
model: rows
destination: api
triggers: { added: { method: PUT, path: '/rows/{{ id }}', body: { json: ${body} } } }
${fails ? FAILING : ''}
`
}

it.each<readonly [string, Waiting]>([
  ['a limit of one a minute', { rows: 50_000, body: SMALL, fails: false }],
  ['their next try', { rows: WINDOW_REQUESTS, body: SMALL, fails: true }],
  ['a limit, with bodies of 1 MB', { rows: 150, body: LARGE, fails: false }],
  ['their next try, with bodies of 1 MB', { rows: 150, body: LARGE, fails: true }],
])(`requests that wait for %s take at most ${MAX_MB} MB`, { timeout: 180_000 }, async (what, waiting) => {
  await using api = await startScriptedApi()
  api.on({}, { status: 500 })
  const files = { 'sluice.yaml': yamlOf(waiting) }
  await using project = await projectFolder({ files, env: { API_URL: api.url } })
  using memory = new PeakMemory()
  const child = project.start('run', 'rows')
  const closed = once(child, 'close')
  memory.watch('sluice', child.pid)
  const wanted = waiting.fails ? waiting.rows : 1
  await api.waitFor(wanted)
  const peak = await settledPeak(memory)
  child.kill('SIGKILL')
  await closed
  process.stderr.write(`${what}: ${Math.round(peak)} MB\n`)
  expect(peak).toBeLessThanOrEqual(MAX_MB)
})

/** The peak once it has not risen for some seconds. */
async function settledPeak(memory: PeakMemory): Promise<number> {
  const peak = async (): Promise<number> => (await memory.peaks()).each.get('sluice') ?? 0
  for (let before = 0, now = await peak(); ; before = now, now = await peak()) {
    if (now === before) return now
    await sleep(5_000, { signal })
  }
}

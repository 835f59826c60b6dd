/**
 * Fills the index of history with attempts, and measures searches and paging:
 *
 *     node --disable-warning=ExperimentalWarning test/bench/history.ts [attempts, 5000000]
 *
 * One attempt of 20 has failed, and each of those has an error with a number of its own: the worst case for
 * texts. Times are of CPU and of the clock, in ms, over 20 searches each.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteIndex } from '@sluice/history/adapters/sqlite'
import type { AttemptFacts, AttemptSearch, SearchPlace } from '@sluice/history/port'

const ATTEMPTS = Number(process.argv[2] ?? 5_000_000)
const BATCH = 500
const SYNCS = ['customers', 'orders', 'products', 'visits', 'invoices']
const REPEATS = 20
const FROM = Date.UTC(2026, 8, 1)
const SPACING_MS = 1_000
const RUN_ATTEMPTS = 50_000
const REASONS = ['email is invalid', 'phone is missing', 'name is too long', 'id is taken']
const { signal } = new AbortController()

function attemptOf(n: number): AttemptFacts {
  const run = Math.floor(n / RUN_ATTEMPTS)
  const hasFailed = n % 20 === 7
  const row = (n * 7_919) % 1_000_003
  return {
    ...{ run, runId: `RUN${String(run).padStart(23, '0')}`, seq: n, requestOffset: n, offset: n, attempt: 1 },
    ...{ trigger: n % 5 === 0 ? 'added' : 'changed', outcome: hasFailed ? 'rejected' : 'delivered' },
    ...{ status: hasFailed ? 422 : 200, method: 'PUT', url: `https://api.example.com/v1/customers/${row}` },
    error: hasFailed ? `HTTP 422: ${REASONS[Math.floor(n / 20) % REASONS.length] ?? ''} in row ${n}` : null,
    ...{ startedAt: FROM + n * SPACING_MS, durationMs: n % 400, keys: [String(row)], details: null },
  }
}

function runOf(n: number): NonNullable<AttemptSearch['run']> {
  const { run, runId } = attemptOf(n)
  return { id: runId, number: run }
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
const index = createSqliteIndex({ file: join(folder, 'history.db'), maxBytes: 1e11, keepsBodies: false })
const lives = SYNCS.map(sync => ({ sync, incarnation: 'i' }))
try {
  const cpu = process.cpuUsage()
  for (let n = 0; n < ATTEMPTS; n += BATCH) {
    const attempts = Array.from({ length: Math.min(BATCH, ATTEMPTS - n) }, (_, i) => attemptOf(n + i))
    const life = lives[Math.floor(n / RUN_ATTEMPTS) % lives.length]
    if (life === undefined) break
    index.addAttempts({ place: { ...life, topic: 'attempts', partition: 0 }, attempts, next: n + BATCH })
  }
  const { user, system } = process.cpuUsage(cpu)
  const { bytes } = index.size()
  const each = ((user + system) / ATTEMPTS).toFixed(1)
  console.log(
    `${ATTEMPTS} attempts: ${each} µs each, ${Math.round(bytes / 1e6)} MB, ${memory()} MB of memory`,
  )
  for (const [name, search] of searches()) await measure(name, search)
  await measurePaging()
  console.log(`memory ${memory()} MB`)
} finally {
  await index[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
}

function searches(): readonly (readonly [string, Partial<AttemptSearch>])[] {
  const middle = FROM + (ATTEMPTS / 2) * SPACING_MS
  const status = { from: 422, to: 422 }
  return [
    ['the newest', {}],
    ['of one sync', { lives: lives.slice(0, 1) }],
    ['of a run', { run: runOf(ATTEMPTS / 2) }],
    ['of a key', { key: '42' }],
    ['of a key of one sync, rejected', { key: '42', lives: lives.slice(1, 2), outcome: 'rejected' }],
    ['4xx of a sync', { status: { from: 400, to: 499 }, lives: lives.slice(2, 3) }],
    ['422 of an hour in the middle', { status, since: middle, until: middle + 3_600_000 }],
    ['a status that nobody had', { status: { from: 500, to: 599 } }],
    ['an error that one has', { search: `in row ${20 * 1_000 + 7}` }],
    ['an error that many have', { search: 'Phone IS'.toLowerCase() }],
    ['an error that many have, of a run', { search: 'taken', run: runOf(1) }],
    ['an error that nobody has', { search: 'no such text' }],
  ]
}

async function measure(name: string, search: Partial<AttemptSearch>): Promise<void> {
  const times: number[] = []
  const cpu = process.cpuUsage()
  let found = 0
  for (let i = 0; i < REPEATS; i += 1) {
    const startedAt = performance.now()
    found = (await index.search(searchOf(search), { signal })).attempts.length
    times.push(performance.now() - startedAt)
  }
  const { user, system } = process.cpuUsage(cpu)
  tell(name, times, (user + system) / 1_000 / REPEATS, `${found} found`)
}

/** From the newest attempt of a status to the 10,000th. */
async function measurePaging(): Promise<void> {
  const times: number[] = []
  const cpu = process.cpuUsage()
  let before: SearchPlace | null = null
  let found = 0
  for (let hasMore = true; hasMore && found < 10_000;) {
    const startedAt = performance.now()
    const page = await index.search(searchOf({ outcome: 'rejected', before, limit: 100 }), { signal })
    times.push(performance.now() - startedAt)
    found += page.attempts.length
    before = page.placeAfter(page.attempts.length)
    hasMore = page.hasMore
  }
  const { user, system } = process.cpuUsage(cpu)
  tell('a page of 100, of 10,000 rejected', times, (user + system) / 1_000 / times.length, `${found} found`)
}

function searchOf(search: Partial<AttemptSearch>): AttemptSearch {
  return {
    ...{
      lives,
      run: null,
      key: null,
      trigger: null,
      status: null,
      outcome: null,
      since: null,
      until: null,
    },
    ...{ search: null, searchesBodies: false, limit: 50, before: null },
    ...search,
  }
}

function tell(name: string, times: readonly number[], cpuMs: number, found: string): void {
  const sorted = [...times].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  const most = sorted.at(-1) ?? 0
  console.log(
    `${name}: ${cpuMs.toFixed(1)} CPU, median ${median.toFixed(1)}, most ${most.toFixed(1)} (${found})`,
  )
}

function memory(): number {
  return Math.round(process.memoryUsage().rss / 1e6)
}

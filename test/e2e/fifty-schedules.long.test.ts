/**
 * Fifty syncs that run every five seconds, in one process, for a minute and a half: each instant has one run,
 * each run sends its row once, and the process grows no more. It prints what it measured.
 *
 * The rows are those of a server: the SQL of files runs in processes of its own, which would be measured
 * here.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, inject, it } from 'vitest'
import type { RunsPage } from '@sluice/contracts/api'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const SYNCS = 50
const EVERY_MS = 5_000
const LASTS_MS = 90_000
const SAMPLE_MS = 5_000
/** Runs that are due at the end of the time have so long to end. */
const LAST_RUNS_MS = 60_000
/** A run is queued a little after its instant, and begins a little after the end of the one before. */
const TOLERANCE_MS = 1_000
/** The second half may take this much more memory than the first: noise of garbage collection. */
const FLAT = 1.25

const NAMES = Array.from({ length: SYNCS }, (_, index) => `s${index + 1}`)
const SOURCE = `
kind: source
name: db
type: postgres
url: \${DATABASE}
---
kind: model
name: now
source: db
sql: select 1 as id, clock_timestamp()::text as at
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
`
const syncOf = (name: string): string => `---
kind: sync
name: ${name}
model: now
destination: api
schedule: { every: ${EVERY_MS / 1_000}s }
partitions: 1
triggers:
  added: { method: PUT, path: '/{{ sync.name }}/{{ run.id }}', body: { json: '{"at":{{ row.at | json }}}' } }
  changed: added
`

const given = inject('postgresUrl')

it.skipIf(given === null)(
  'fifty syncs that run every five seconds miss no instant, double none, and take no more memory',
  { timeout: LASTS_MS * 8 },
  async () => {
    const database = new URL(given ?? '')
    database.password = ''
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': SOURCE + NAMES.map(syncOf).join('') },
      env: { API_URL: api.url, DATABASE: database.href, SLUICE_PORT: '0' },
    })
    await using server = await serve(project)
    // The first runs make topics and compile code.
    await api.waitFor(requests => NAMES.every(name => sentBy(requests, name) >= 2))

    const from = Date.now()
    const before = await figuresOf(server.url)
    const memory: number[] = []
    while (Date.now() - from < LASTS_MS) {
      await expect
        .poll(() => Date.now() - from, { timeout: LASTS_MS })
        .toBeGreaterThanOrEqual(Math.min((memory.length + 1) * SAMPLE_MS, LASTS_MS))
      memory.push((await figuresOf(server.url)).memory)
    }
    const to = from + LASTS_MS
    const after = await figuresOf(server.url)

    const late: number[] = []
    let passedOver = 0
    for (const name of NAMES) {
      const runs = await runsBetween(server.url, name, { from, to })
      const found = judge(runs, { from, to })
      expect(found.doubled, name).toEqual([])
      expect(found.missed, name).toEqual([])
      passedOver += found.passedOver
      for (const { id, dueAt, startedAt, status } of runs) {
        expect([id, status]).toEqual([id, 'success'])
        expect(api.requests.filter(({ url }) => url === `/${name}/${id}`)).toHaveLength(1)
        late.push(startedAt - dueAt)
      }
    }
    const half = Math.floor(memory.length / 2)
    const [early, lately] = [median(memory.slice(0, half)), median(memory.slice(half))]
    const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
    const spent = after.cpu - before.cpu
    process.stdout.write(
      `${late.length} runs of ${SYNCS} syncs in ${LASTS_MS / 1_000} s: begun ${median(late)} ms after they were due in the ` +
        `median, ${Math.max(...late)} ms at most; ${passedOver} instants came while a run was at work for longer; ` +
        `${spent.toFixed(1)} CPU seconds; memory ${megabytes(early)} in the ` +
        `first half, ${megabytes(lately)} in the second, ${megabytes(Math.max(...memory))} at most\n`,
    )
    expect(lately / early).toBeLessThan(FLAT)
  },
)

function sentBy(requests: readonly { readonly url: string }[], name: string): number {
  return requests.filter(({ url }) => url.startsWith(`/${name}/`)).length
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

interface ScheduledRun {
  readonly id: string
  readonly status: string
  readonly dueAt: number
  readonly startedAt: number
  readonly endedAt: number
}

/** The runs of the instants in this time, the oldest first, once all of them have ended. */
async function runsBetween(
  url: string,
  sync: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly ScheduledRun[]> {
  const runs = async (): Promise<readonly ScheduledRun[]> => {
    const answer = await fetch(`${url}/api/v1/runs?sync=${sync}&limit=100`)
    expect(answer.status).toBe(200)
    const page = (await answer.json()) as RunsPage
    const time = (text: string | null | undefined): number => Date.parse(text ?? '')
    return page.runs
      .map(({ id, status, dueAt, startedAt, endedAt }) => {
        return { id, status, dueAt: time(dueAt), startedAt: time(startedAt), endedAt: time(endedAt) }
      })
      .filter(({ dueAt }) => dueAt >= from && dueAt < to)
      .toSorted((a, b) => a.dueAt - b.dueAt)
  }
  const haveEnded = async (): Promise<boolean> => (await runs()).every(({ endedAt }) => endedAt > 0)
  await expect.poll(haveEnded, { timeout: LAST_RUNS_MS, interval: 500 }).toBe(true)
  return await runs()
}

/**
 * Each instant has one run. An instant that comes while the run before is at work waits, and joins the next
 * one: the run that then begins is due at the last of them.
 */
function judge(
  runs: readonly ScheduledRun[],
  { from, to }: { readonly from: number; readonly to: number },
): { readonly doubled: readonly number[]; readonly missed: readonly number[]; readonly passedOver: number } {
  const dues = runs.map(({ dueAt }) => dueAt)
  const doubled = dues.filter((at, index) => dues.indexOf(at) !== index)
  const first = dues[0] ?? Number.NaN
  const missed: number[] = Number.isNaN(first) ? [from] : []
  let passedOver = 0
  for (let at = first; at < to; at += EVERY_MS) {
    if (dues.includes(at)) continue
    const before = runs.findLast(({ dueAt }) => dueAt < at)
    const next = runs.find(({ dueAt }) => dueAt > at)
    // At the end of the time, the run that it joined is due later.
    const joinedAt = next?.dueAt ?? at
    if ((before?.endedAt ?? 0) > joinedAt - TOLERANCE_MS) passedOver += 1
    else missed.push(at)
  }
  return { doubled, missed, passedOver }
}

/** Resident bytes, and CPU seconds so far. */
async function figuresOf(url: string): Promise<{ readonly memory: number; readonly cpu: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const of = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  return {
    memory: of('sluice_process_resident_memory_bytes'),
    cpu: of('sluice_process_cpu_seconds_total'),
  }
}

async function serve(project: ProjectFolder): Promise<AsyncDisposable & { readonly url: string }> {
  const server = project.start('up', '--json')
  const ended = once(server, 'exit')
  if (server.stdout === null) throw new Error('the server has no output')
  server.stderr?.pipe(process.stderr)
  const failed = ended.then(([code]) => {
    throw new Error(`the server has ended with ${String(code)}`)
  })
  const [line]: unknown[] = await Promise.race([
    once(createInterface({ input: server.stdout }), 'line'),
    failed,
  ])
  failed.catch(() => undefined)
  const { url }: { url: string } = JSON.parse(String(line))
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM')
      await ended
    },
  }
}

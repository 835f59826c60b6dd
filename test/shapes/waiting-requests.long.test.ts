/**
 * The memory of a process of delivery on Kafka while requests wait: for a limit of one a minute, for their
 * next try, and with bodies of 1 MB. It holds no more of them than its window and its buffers take, so a
 * million requests that wait take no more than these.
 */
import { describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed } from '../e2e/distributed.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { Topics } from '../fault/topics.ts'
import { PeakMemory } from './peak-memory.ts'

const { signal } = new AbortController()
const MOST_MB = 512
const WINDOW_REQUESTS = 10_000
/** More than the window holds, so that more of them change nothing. */
const WAITING = Number(process.env['SLUICE_WAITING_REQUESTS'] ?? 20_000)
const LARGE = 150
const FAR = 'errors: { retry: now, attempts: 5, backoff: { first: 30m, max: 30m } }'
const SMALL_BODY = `'{"text":"{{ row.text }}"}'`
/** 1 MB of a row of 1 KB. */
const LARGE_BODY = `'{"text":"{% for i in (1..1000) %}{{ row.text }}{% endfor %}"}'`

interface Waiting {
  readonly sync: string
  readonly rows: number
  readonly body: string
  readonly errors: string
  /** Of which topic so many records show that all wait. */
  readonly told: readonly ['requests' | 'attempts', number]
}

const CASES: readonly Waiting[] = [
  { sync: 'slow', rows: WAITING, body: SMALL_BODY, errors: '', told: ['requests', WAITING] },
  { sync: 'large', rows: LARGE, body: LARGE_BODY, errors: '', told: ['requests', LARGE] },
  {
    sync: 'failing',
    rows: WINDOW_REQUESTS,
    body: SMALL_BODY,
    errors: FAR,
    told: ['attempts', WINDOW_REQUESTS],
  },
  { sync: 'large-failing', rows: LARGE, body: LARGE_BODY, errors: FAR, told: ['attempts', LARGE] },
]

function yamlOf({ sync, rows, body, errors }: Waiting): string {
  return `---
kind: model
name: ${sync}
source: files
sql: select range as id, repeat('t', 1000) as text from range(${rows})
primaryKey: id
---
kind: destination
name: ${sync}
baseUrl: \${API_URL}
allowPrivateNetwork: true
breaker: false
${errors === '' ? 'limits: { rate: { requests: 1, per: minute } }' : 'limits: { rate: { requests: 2000, per: second } }'}
---
kind: sync
name: ${sync}
model: ${sync}
destination: ${sync}
triggers: { added: { method: PUT, path: '/${sync}/{{ id }}', body: { json: ${body} } } }
${errors}
`
}

describe.skipIf(realServices() === null)('a process of delivery whose requests wait', () => {
  it(`has at most ${MOST_MB} MB`, { timeout: 400_000 }, async () => {
    await using api = await startScriptedApi()
    api.on({}, { status: 500 })
    await using services = await startDistributed({ env: { API_URL: api.url } })
    const yaml = `kind: source\nname: files\ntype: duckdb\npath: .\n${CASES.map(yamlOf).join('')}`
    const env = { ...services.env, API_URL: api.url }
    await using project = await projectFolder({ files: { 'sluice.yaml': yaml }, env, here: true })
    using memory = new PeakMemory()
    memory.watch('delivery', services.of('delivery')[0]?.pid)
    const found: string[] = []
    for (const waiting of CASES) {
      await untilAllWait(project, services.env, waiting)
      const peak = await settledPeak(memory)
      found.push(`${waiting.sync} × ${waiting.rows}: ${Math.round(peak)} MB`)
      const [run] = (await project.runs()).filter(({ sync }) => sync === waiting.sync)
      await project.sluice('cancel', run?.id ?? '')
      expect.soft(peak, `${found.join(', ')}; ${services.logs(5)}`).toBeLessThanOrEqual(MOST_MB)
    }
    process.stderr.write(`peak of delivery so far, after ${found.join(', ')}\n`)
  })
})

async function untilAllWait(
  project: ProjectFolder,
  env: { readonly [name: string]: string },
  { sync, told: [topic, count] }: Waiting,
): Promise<void> {
  void finished(project.start('run', sync))
  await expect
    .poll(async () => (await project.runs()).some(run => run.sync === sync), { timeout: 60_000 })
    .toBe(true)
  await using topics = await Topics.open(env, sync)
  await expect
    .poll(() => topics.appended(topic), { timeout: 120_000, interval: 500 })
    .toBeGreaterThanOrEqual(count)
}

/** The peak once it has not risen for two seconds. */
async function settledPeak(memory: PeakMemory): Promise<number> {
  const peak = async (): Promise<number> => (await memory.peaks()).each.get('delivery') ?? 0
  for (let before = 0, now = await peak(); ; before = now, now = await peak()) {
    if (now === before) return now
    await sleep(2_000, { signal })
  }
}

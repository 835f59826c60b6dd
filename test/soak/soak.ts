/**
 * Ten syncs on a schedule for half an hour, in one `sluice up`: rows change all over, and the API fails, is
 * slow or throttles now and then. Prints memory, files, open files and Redis keys each minute, and fails if
 * one of them grows. Run: node test/soak/soak.ts [--minutes 30] [--syncs 10] [--rows 2000] [--every 5s].
 * SLUICE_REDIS_URL names a Redis for the limits, if it is to be watched as well.
 */
import { once } from 'node:events'
import { readdir, readFile, rename, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { randomFrom } from '@sluice/testkit/random'
import { projectFolder } from '../e2e/project-folder.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    syncs: { type: 'string', default: '10' },
    rows: { type: 'string', default: '2000' },
    every: { type: 'string', default: '5s' },
  },
})
const [minutes, syncs, rows] = [Number(values.minutes), Number(values.syncs), Number(values.rows)]
/** A figure may be larger in the last third than in the second one by this factor. */
const GROWTH = { rssMb: 1.15, filesMb: 1.15, logMb: 1.3, openFiles: 1.15, redisKeys: 1.15 }
/** A figure may grow by this much in any case. */
const SLACK = { rssMb: 30, filesMb: 10, logMb: 10, openFiles: 10, redisKeys: 20 }

type Figures = { readonly [name in keyof typeof GROWTH]: number }
const NAMES = ['rssMb', 'filesMb', 'logMb', 'openFiles', 'redisKeys'] as const

const random = randomFrom(1)
let requests = 0
const api = createServer((request, response) => {
  requests += 1
  request.resume()
  request.on('end', () => {
    const status = random.chance(0.97) ? 200 : random.pick([500, 422, 429])
    if (random.chance(0.002)) response.destroy()
    else response.writeHead(status, { 'retry-after': '0' }).end('{}')
  })
})
await once(api.listen(0, '127.0.0.1'), 'listening')
const address = api.address()
if (address === null || typeof address === 'string') throw new Error('the API has no port')

const redis = process.env['SLUICE_REDIS_URL']
await using project = await projectFolder({
  files: { 'sluice.yaml': 'kind: project\nname: soak\n', 'soak.yaml': projectYaml(address.port) },
  env: {
    SLUICE_LOG_SIZE: '40MB',
    SLUICE_PORT: '0',
    ...(redis === undefined ? {} : { SLUICE_REDIS_URL: redis }),
  },
})
for (let sync = 0; sync < syncs; sync += 1) await writeRows(sync)
const up = project.start('up')
up.stdout?.resume()
let errors = ''
up.stderr?.on('data', (text: Buffer) => (errors = `${errors}${String(text)}`.slice(-4000)))
const ended = once(up, 'exit').then(() => 'ended' as const)

const seen: Figures[] = []
for (let minute = 1; minute <= minutes; minute += 1) {
  for (let part = 0; part < 12; part += 1) {
    await writeRows(random.below(syncs))
    if ((await Promise.race([ended, sleep(5_000)])) === 'ended')
      throw new Error(`\`sluice up\` has ended: ${errors}`)
  }
  const figures = await measure()
  seen.push(figures)
  const shown = NAMES.map(name => `${name} ${String(Math.round(figures[name]))}`)
  process.stdout.write(`minute ${minute}: ${shown.join(', ')}, ${requests} requests so far\n`)
}
const runs = await project.runs()
up.kill('SIGTERM')
await ended
api.close()
api.closeAllConnections()

const third = Math.floor(seen.length / 3)
const most = (of: readonly Figures[], name: keyof Figures): number => Math.max(...of.map(each => each[name]))
const grown = NAMES.filter(name => {
  const [before, after] = [most(seen.slice(third, 2 * third), name), most(seen.slice(2 * third), name)]
  return after > Math.max(before * GROWTH[name], before + SLACK[name])
})
const failed = runs.filter(({ status }) => status === 'failed')
for (const { id, error } of failed) process.stdout.write(`run ${id} failed: ${error ?? ''}\n`)
process.stdout.write(
  `${requests} requests; ${failed.length} of the last ${runs.length} runs failed; ${grown.length === 0 ? 'flat' : `grown: ${grown.join(', ')}`}\n`,
)
process.exitCode = grown.length === 0 && failed.length === 0 ? 0 : 1

function projectYaml(port: number): string {
  const shared = `kind: source
name: files
type: duckdb
path: .
---
kind: destination
name: api
baseUrl: http://127.0.0.1:${port}
limits: { rate: { requests: 400, per: second } }`
  const each = Array.from({ length: syncs }, (_, sync) => {
    const row = '{"id":{{ row.id }},"v":{{ row.v }}}'
    const body = `body: { json: '[{% for row in rows %}${row},{% endfor %}]' }`
    const trigger = `{ batch: { size: 20 }, method: POST, path: /rows, ${body} }`
    return `---
kind: model
name: m${sync}
source: files
sql: >-
  select id, v from read_csv('rows${sync}.csv', columns = { id: 'INTEGER', v: 'INTEGER' })
primaryKey: id
---
kind: sync
name: s${sync}
model: m${sync}
destination: api
schedule: { every: ${values.every} }
timeout: 5s
removalGuard: false
triggers:
  added: ${trigger}
  changed: added
  removed: ${trigger}
`
  })
  return [shared, ...each].join('\n')
}

/** Rows change, come and go all over the model. As many are there in the mean. */
async function writeRows(sync: number): Promise<void> {
  const lines = Array.from({ length: rows }, (_, id) =>
    random.chance(0.98) ? `${id},${random.chance(0.97) ? 0 : random.below(1000)}` : null,
  )
  const text = ['id,v', ...lines.filter(line => line !== null), ''].join('\n')
  // A reader of the file has either the whole old text or the whole new one.
  await project.write(`next${sync}`, text)
  await rename(join(project.dir, `next${sync}`), join(project.dir, `rows${sync}.csv`))
}

async function measure(): Promise<Figures> {
  const pid = await pidOfUp()
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const openFiles = (await readdir(`/proc/${pid}/fd`)).length
  const state = join(project.dir, '.sluice')
  let [filesBytes, logBytes] = [0, 0]
  for (const entry of await readdir(state, { recursive: true })) {
    const size = await stat(join(state, entry)).then(
      found => (found.isFile() ? found.size : 0),
      () => 0,
    )
    if (entry.startsWith('log.db')) logBytes += size
    else filesBytes += size
  }
  const rssMb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  return { rssMb, filesMb: filesBytes / 1e6, logMb: logBytes / 1e6, openFiles, redisKeys: await redisKeys() }
}

/** The command may start another Node, which is the one that works. */
async function pidOfUp(): Promise<number> {
  const own = up.pid ?? 0
  const text = await readFile(`/proc/${own}/task/${own}/children`, 'utf8').catch(() => '')
  const sizes = [own, ...text.split(' ').filter(Boolean).map(Number)].map(async pid => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    return { pid, kb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) }
  })
  const found = (await Promise.all(sizes)).toSorted((a, b) => b.kb - a.kb)
  return found[0]?.pid ?? own
}

async function redisKeys(): Promise<number> {
  if (redis === undefined) return 0
  const { hostname, port } = new URL(redis)
  const socket = connect(Number(port), hostname)
  socket.end('DBSIZE\r\n')
  let answer = ''
  for await (const text of socket) answer += String(text)
  return Number(/^:(\d+)/.exec(answer)?.[1] ?? 0)
}

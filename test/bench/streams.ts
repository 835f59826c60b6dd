/**
 * The benchmark of streams: from the commit of a change to its request, changes that go on for minutes, a
 * backlog, and streams that have nothing to do. Run: npm run bench:streams [-- --help]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startServices } from '../../deploy/local/services.ts'
import { ownDatabase, type OwnDatabase } from '../e2e/own-database.ts'
import { createTopics, kafkaAt } from './bench-data.ts'
import { markdown } from './bench-report.ts'
import { serve, streamProject, type Serving, type StreamGround } from './stream-ground.ts'
import { startReceiver, type Receiver } from './start-receiver.ts'
import type { Usage } from './usage.ts'

const HELP = `npm run bench:streams -- [options]

  --part NAME      one of the parts, may be repeated; default all:
                   follow, topic, sustained, backlog, idle
  --profile NAME   embedded (default) or distributed
  --seconds N      for how long changes are made: default 30 for follow and topic, 300 for sustained
  --rows N         the backlog; default 1000000
  --streams N      idle streams; default 200
`
const ALL = ['follow', 'topic', 'sustained', 'backlog', 'idle']
/** Of latency, one row a request. */
const PER_SECOND = 500
const SUSTAINED_PER_SECOND = 10_000
const BATCH = 100
const LATENCY_KEYS = 10_000
const SUSTAINED_KEYS = 100_000
const WARM_UP_SECONDS = 5
/** Nothing more arrives if nothing has arrived for so long. */
const QUIET_MS = 3_000
const IDLE_SECONDS = 30
/** A stream that does not send a change within this time does not follow its topic yet. */
const FOLLOWS_MS = 20_000
const CLIENTS = 4
const ROWS_PER_TRANSACTION = 10_000
const NOTHING: Usage = { cpuSeconds: 0, peakRssMb: 0 }

const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true, default: ALL },
    profile: { type: 'string', default: 'embedded' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '1000000' },
    streams: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
})
const { part: parts, profile } = values
const isKnown = parts.every(part => ALL.includes(part))
if (values.help || !isKnown || (profile !== 'embedded' && profile !== 'distributed')) {
  console.log(HELP)
  process.exit(values.help ? 0 : 2)
}
const [backlog, streams] = [Number(values.rows), Number(values.streams)]
const seconds = (otherwise: number): number => Number(values.seconds ?? otherwise)

const lines: (readonly string[])[] = []
const dir = await mkdtemp(join(tmpdir(), 'sluice-streams-'))
try {
  await using running = await startServices(
    ['postgres', 'kafka', ...(profile === 'distributed' ? (['registry', 'redis'] as const) : [])],
    { sustainedKafka: true },
  )
  await using receiver = await startReceiver({ ages: true })
  const ground: StreamGround = { dir, receiver: receiver.url, profile, services: running.env }
  const postgres = running.get('postgres').address
  const brokers = running.get('kafka').address
  if (parts.includes('follow')) await follow(ground, postgres, receiver)
  if (parts.includes('topic')) await topic(ground, brokers, receiver)
  if (parts.includes('sustained')) await sustained(ground, postgres, receiver)
  if (parts.includes('backlog')) await catchUp(ground, postgres, receiver)
  if (parts.includes('idle')) await idle(ground, brokers, receiver)
} finally {
  await rm(dir, { recursive: true, force: true })
}
console.log(markdown(['work', 'aim', 'measured', 'CPU s', 'peak MB'], lines))

async function follow(ground: StreamGround, postgres: string, receiver: Receiver): Promise<void> {
  await using database = await withTable(postgres, LATENCY_KEYS)
  const project = await streamProject(ground, followed(database), { models: ['changes'], batch: 1 })
  await using serving = await serve(ground, project)
  await using clients = await connected(database)
  await begun(receiver, () => clients.change(0, 1))
  const change = (index: number): Promise<unknown> => clients.change(index % LATENCY_KEYS, 1)
  await noteLatency('followed table', 'p50 50 ms, p99 200 ms', { serving, receiver, change })
}

async function topic(ground: StreamGround, brokers: string, receiver: Receiver): Promise<void> {
  const name = 'bench-latency'
  await createTopics(brokers, [name])
  const project = await streamProject(ground, topics(brokers, [name]), { models: [name], batch: 1 })
  const producer = kafkaAt(brokers).producer()
  await producer.connect()
  const change = async (index: number): Promise<void> => {
    const id = index % LATENCY_KEYS
    const row = { id, name: `row ${id}`, at: performance.timeOrigin + performance.now() }
    await producer.send({ topic: name, messages: [{ key: String(id), value: JSON.stringify(row) }] })
  }
  await change(0)
  await using serving = await serve(ground, project)
  await begun(receiver, () => change(0))
  await noteLatency('topic of rows', 'p50 100 ms, p99 300 ms', { serving, receiver, change })
  await producer.disconnect()
}

async function sustained(ground: StreamGround, postgres: string, receiver: Receiver): Promise<void> {
  await using database = await withTable(postgres, SUSTAINED_KEYS)
  const project = await streamProject(ground, followed(database), { models: ['changes'], batch: BATCH })
  await using serving = await serve(ground, project)
  await using clients = await connected(database)
  await begun(receiver, () => clients.change(0, 1))
  const statements = SUSTAINED_KEYS / BATCH
  const change = (index: number): Promise<unknown> => clients.change((index % statements) * BATCH, BATCH)
  await pace(SUSTAINED_PER_SECOND / BATCH, WARM_UP_SECONDS, change)
  await quiet(receiver)
  await receiver.reset()
  const before = await serving.usage()
  const made = await pace(SUSTAINED_PER_SECOND / BATCH, seconds(300), change)
  const { rows: arrived } = await receiver.stats()
  const lastCommit = Date.now()
  await quiet(receiver)
  const { rows, requests, lastAt, ages } = await receiver.stats()
  const rate = (made.perSecond * BATCH).toFixed(0)
  const behind = `${Math.max(0, (lastAt ?? 0) - lastCommit)} ms after the last commit`
  note(
    `${rate} changes/s for ${made.seconds.toFixed(0)} s, in batches of up to ${BATCH}`,
    'no lag that grows',
    `the last ${rows - arrived} rows ${behind}; age p50 ${ms(ages?.p50)}, p99 ${ms(ages?.p99)}; ${(rows / requests).toFixed(1)} rows a request`,
    [before, await serving.usage()],
  )
}

async function catchUp(ground: StreamGround, postgres: string, receiver: Receiver): Promise<void> {
  await using database = await withTable(postgres, 0)
  const project = await streamProject(ground, followed(database), { models: ['changes'], batch: BATCH })
  {
    await using _ = await serve(ground, project)
    await begun(receiver, () =>
      database.client.query(
        `insert into changes values (0, 'row', 0) on conflict (id) do update set at = changes.at + 1`,
      ),
    )
  }
  const loop = await startLoop(database, receiver)
  for (let first = 1; first <= backlog; first += ROWS_PER_TRANSACTION)
    await database.client.query(
      `insert into changes select id, 'row ' || id, extract(epoch from clock_timestamp()) * 1000
       from generate_series($1::bigint, $2::bigint) id`,
      [first, Math.min(backlog, first + ROWS_PER_TRANSACTION - 1)],
    )
  await receiver.reset()
  const start = Date.now()
  await using serving = await serve(ground, project)
  const seen = async (): Promise<number> => (await receiver.stats()).rows
  while ((await seen()) < backlog) await pause(100)
  await quiet(receiver)
  const usage = await serving.usage()
  const { rows, requests, firstAt, lastAt } = await receiver.stats()
  const rate = rows / (((lastAt ?? 0) - (firstAt ?? 0)) / 1000)
  const begins = `the first ${(firstAt ?? 0) - start} ms after the start`
  note(
    `backlog of ${backlog.toLocaleString('en')} rows, followed table`,
    '50,000 rows/s',
    `${perSecond(rate)}, ${(rows / requests).toFixed(1)} rows a request, ${begins}`,
    [NOTHING, usage],
  )
  await serving[Symbol.asyncDispose]()
  await receiver.reset()
  const bare = await loop.read()
  note('the same, by a loop that reads the log and posts', '', perSecond(bare.rowsPerSecond), [NOTHING, bare])
}

async function idle(ground: StreamGround, brokers: string, receiver: Receiver): Promise<void> {
  const names = Array.from({ length: streams }, (_, index) => `bench-idle-${index}`)
  await createTopics(brokers, names, 1)
  // Kafka needs a while until all of them have a leader.
  const producer = kafkaAt(brokers).producer({ retry: { retries: 20 } })
  await producer.connect()
  const produce = async (at: number): Promise<void> => {
    const messages = [{ key: '1', value: JSON.stringify({ id: 1, name: 'row', at }) }]
    await producer.sendBatch({ topicMessages: names.map(topic => ({ topic, messages })) })
  }
  await produce(0)
  const project = await streamProject(ground, topics(brokers, names), { models: names, batch: 1 })
  const start = Date.now()
  await using serving = await serve(ground, project)
  // Each stream that follows its topic sends a change of it.
  for (let at = 1, follow = 0; follow < names.length; at += 1) {
    await receiver.reset()
    await produce(at)
    for (const until = Date.now() + FOLLOWS_MS; follow < names.length && Date.now() < until;) {
      await pause(100)
      follow = (await receiver.stats()).rows
    }
  }
  const took = (Date.now() - start) / 1000
  await producer.disconnect()
  await quiet(receiver)
  const before = await serving.usage()
  await pause(IDLE_SECONDS * 1000)
  const after = await serving.usage()
  const share = (after.cpuSeconds - before.cpuSeconds) / IDLE_SECONDS
  const shown = `${(share * 100).toFixed(1)} % of a core; all streamed ${took.toFixed(0)} s after the start`
  note(`${streams} idle streams of a topic each`, 'less than 5 % of a core', shown, [before, after])
}

function note(work: string, aim: string, measured: string, [before, after]: readonly [Usage, Usage]): void {
  const line = [
    work,
    aim,
    measured,
    (after.cpuSeconds - before.cpuSeconds).toFixed(1),
    String(after.peakRssMb),
  ]
  lines.push(line)
  console.error(line.join(' | '))
}

/** Makes changes at the measured pace, and notes how late they arrive. */
async function noteLatency(
  what: string,
  aim: string,
  {
    serving,
    receiver,
    change,
  }: {
    readonly serving: Serving
    readonly receiver: Receiver
    readonly change: (index: number) => Promise<unknown>
  },
): Promise<void> {
  await pace(PER_SECOND, WARM_UP_SECONDS, change)
  await quiet(receiver)
  await receiver.reset()
  const before = await serving.usage()
  await pace(PER_SECOND, seconds(30), change)
  await quiet(receiver)
  const { rows, requests, ages } = await receiver.stats()
  const found = `p50 ${ms(ages?.p50)}, p99 ${ms(ages?.p99)}, at most ${ms(ages?.most)}`
  note(
    `commit to request, ${what}, ${PER_SECOND} changes/s`,
    aim,
    `${found}; ${rows} rows, ${requests} requests`,
    [before, await serving.usage()],
  )
}

function ms(value: number | undefined): string {
  return value === undefined ? 'none' : `${value.toFixed(1)} ms`
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString('en')} rows/s`
}

function followed({ url }: OwnDatabase): string {
  return `kind: source
name: bench
type: postgres
url: ${url}
allowPrivateNetwork: true
follow: {}
---
kind: model
name: changes
source: bench
table: public.changes
primaryKey: id
`
}

function topics(brokers: string, names: readonly string[]): string {
  const models = names.map(
    name => `---
kind: model
name: ${name}
source: bench
topic: ${name}
format: rows
primaryKey: id
`,
  )
  return `kind: source
name: bench
type: kafka
brokers: [${brokers}]
allowPrivateNetwork: true
${models.join('')}`
}

/** A database with the table `changes`, which has keys from 0. `at` is when a row was last changed. */
async function withTable(postgres: string, keys: number): Promise<OwnDatabase> {
  const database = await ownDatabase(postgres)
  await database.client.query(
    'create table changes (id bigint primary key, name text not null, at double precision not null)',
  )
  await database.client.query(
    `insert into changes select id, 'row ' || id, 0 from generate_series(0, $1::bigint - 1) id`,
    [keys],
  )
  await database.client.query('vacuum analyze changes')
  return database
}

interface Clients extends AsyncDisposable {
  /** Changes so many rows from a key on, in a transaction of their own. */
  change(first: number, rows: number): Promise<unknown>
}

async function connected({ url }: OwnDatabase): Promise<Clients> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connectedClient(url)))
  let next = 0
  return {
    change(first, rows) {
      next += 1
      return clients[next % CLIENTS]?.change(first, rows) ?? Promise.resolve()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map(client => client[Symbol.asyncDispose]()))
    },
  }
}

/** One connection, whose changes are made one after the other. */
async function connectedClient(url: string): Promise<Clients> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  let last: Promise<unknown> = Promise.resolve()
  return {
    change(first, rows) {
      last = last.then(() =>
        client.query({
          name: 'change',
          text: 'update changes set at = extract(epoch from clock_timestamp()) * 1000 where id >= $1 and id < $2',
          values: [first, first + rows],
        }),
      )
      return last
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** Makes a change again and again until one of them arrives: from then on the stream follows. */
async function begun(receiver: Receiver, change: () => Promise<unknown>): Promise<void> {
  await receiver.reset()
  for (;;) {
    await change()
    await pause(500)
    if ((await receiver.stats()).requests > 0) return
  }
}

/** Resolves once nothing has arrived for a while. */
async function quiet(receiver: Receiver): Promise<void> {
  for (;;) {
    const { lastAt } = await receiver.stats()
    if (lastAt !== null && Date.now() - lastAt > QUIET_MS) return
    await pause(100)
  }
}

/** Makes changes at this pace, or as fast as the source takes them. Resolves once all are committed. */
async function pace(
  rate: number,
  duration: number,
  change: (index: number) => Promise<unknown>,
): Promise<{ readonly perSecond: number; readonly seconds: number }> {
  const start = performance.now()
  const underWay = new Set<Promise<unknown>>()
  const all = rate * duration
  for (let index = 0; index < all;) {
    const due = Math.min(all, ((performance.now() - start) / 1000) * rate)
    for (; index < due; index += 1) {
      const made: Promise<unknown> = change(index).finally(() => underWay.delete(made))
      underWay.add(made)
      if (underWay.size >= rate) await Promise.race(underWay)
    }
    await pause(1)
  }
  await Promise.all(underWay)
  const took = (performance.now() - start) / 1000
  return { perSecond: all / took, seconds: took }
}

interface Loop {
  read(): Promise<Usage & { readonly rowsPerSecond: number }>
}

/** Resolves once the loop has its slot. */
async function startLoop({ url }: OwnDatabase, receiver: Receiver): Promise<Loop> {
  const program = fileURLToPath(new URL('stream-loop.ts', import.meta.url))
  const args = [
    '--disable-warning=ExperimentalWarning',
    program,
    url,
    'public.changes',
    String(backlog),
    receiver.url,
  ]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const output = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  if ((await output.next()).value !== 'ready') throw new Error('the loop ended')
  return {
    async read() {
      child.stdin.write('\n')
      const { value } = await output.next()
      await once(child, 'exit')
      return JSON.parse(String(value)) as Usage & { readonly rowsPerSecond: number }
    },
  }
}

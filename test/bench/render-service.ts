/**
 * Rows per second of the renderer service, from `changes` to acknowledged `requests` on a log on disk. Beside
 * it stands bare `liquidjs.renderSync` of the same templates over rows that are in memory already. Rounds
 * take turns in one process. Run: node test/bench/render-service.ts [--rows 100000 --rounds 3 --only
 * jsonColumn]
 */
import { parseArgs } from 'node:util'
import type { RunBegin } from '@sluice/contracts/records'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import { RendererMemory } from '@sluice/renderer/renderer-memory'
import { runRenderer } from '@sluice/renderer/renderer'
import { createLogger } from '@sluice/runtime/logger'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { at, homePartition, runKey, sharedTopics } from '@sluice/topics/topics'
import { sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { median } from './median.ts'
import { bareLiquid, benchRow, columnsOf, RENDER_BENCHES, type RenderBench } from './render-cases.ts'

const BATCH = 100

interface Figures {
  readonly rowsPerSecond: number
  readonly cpuSecondsPerMillionRows: number
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
})
const rows = Number(values.rows)
const rounds = Number(values.rounds)

for (const bench of RENDER_BENCHES) if (bench.name.includes(values.only)) await compare(bench)

async function compare(bench: RenderBench): Promise<void> {
  const service: Figures[] = []
  const bare: Figures[] = []
  for (let round = 0; round < rounds; round += 1) {
    service.push(await measureService(bench))
    bare.push(measureBare(bench))
  }
  const of = (figures: readonly Figures[], name: keyof Figures) => median(figures.map(each => each[name]))
  const told = (figures: readonly Figures[]): string =>
    `${format(of(figures, 'rowsPerSecond'))} rows/s ${cpuOf(figures).toFixed(1).padStart(5)} CPU s/M`
  const cpuOf = (figures: readonly Figures[]) => of(figures, 'cpuSecondsPerMillionRows')
  // The first ratio includes waits for the disk. The second one also holds on a machine that others use.
  const wall = of(service, 'rowsPerSecond') / of(bare, 'rowsPerSecond')
  const core = cpuOf(bare) / cpuOf(service)
  const ratios = `${wall.toFixed(2)}× by the clock, ${core.toFixed(2)}× a core`
  console.log(`${bench.name.padEnd(24)} ${told(service)}   bare liquidjs ${told(bare)}   ${ratios}`)
}

/** From the start of the service to its end, once every request is acknowledged. */
async function measureService(bench: RenderBench): Promise<Figures> {
  await using world = await openTestLog({ partitions: 1 })
  const { body, batched } = bench
  const batch = batched ? { batch: { size: BATCH } } : {}
  const added = { method: 'POST', path: '/1/indexes/main/batch', body, ...batch }
  const definition = sampleDefinition({ sync: { triggers: { added } } })
  const { signal } = new AbortController()
  const hash = await world.definitions.put(definition, { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition: hash, startedAt: 1, first: true }
  await writeChanges(world, { begin, columns: columnsOf(bench), rows: changedRows(bench) })
  const event = world.io.encode('RunEvent', sampleEvent({ definition: hash }))
  const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  await world.append(runs, [{ key: runKey(SYNC, 'RUN1'), value: event }])
  const drain = new AbortController()
  let left = batched ? Math.ceil(rows / BATCH) : rows
  const stageMetrics = {
    ...NO_STAGE_METRICS,
    rendered: (): void => {
      left -= 1
      if (left === 0) drain.abort()
    },
  }
  const logger = createLogger({ name: 'bench', level: 'warn' })
  const room = new RendererMemory(128_000_000)
  const deps = { ...world, room, stageMetrics, logger, locks: createLocalLocks() }
  const found = await measured(() => runRenderer(deps, { drain: drain.signal, abort: signal }))
  if (left !== 0) throw new Error(`${left} requests are missing`)
  return found
}

function* changedRows({ columns }: RenderBench) {
  for (let index = 0; index < rows; index += 1) {
    const whole = benchRow(index)
    yield { key: `${index}`, row: Object.fromEntries(columns.map(name => [name, whole[name] ?? null])) }
  }
}

function measureBare({ template, batched }: RenderBench): Figures {
  const parsed = bareLiquid.parse(template)
  const all = Array.from({ length: Math.min(rows, 10_000) }, (_, index) => benchRow(index))
  const start = performance.now()
  const cpu = process.cpuUsage()
  for (let done = 0; done < rows; done += all.length)
    if (batched)
      for (let from = 0; from < all.length; from += BATCH)
        bareLiquid.renderSync(parsed, { rows: all.slice(from, from + BATCH) })
    else for (const row of all) bareLiquid.renderSync(parsed, { ...row, row, rows: [row] })
  return figuresSince(start, cpu)
}

async function measured(work: () => Promise<void>): Promise<Figures> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  await work()
  return figuresSince(start, cpu)
}

function figuresSince(start: number, cpu: NodeJS.CpuUsage): Figures {
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { rowsPerSecond: rows / seconds, cpuSecondsPerMillionRows: (user + system) / rows }
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en').padStart(9)
}

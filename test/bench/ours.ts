/** Sluice as a contestant, in both profiles. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startDistributed, type Distributed } from '../e2e/distributed.ts'
import { kafkaAt, type BenchData } from './bench-data.ts'
import { benchProject, type BenchOptions } from './bench-project.ts'
import type { Contestant, Used, Work } from './contestants.ts'
import { runTimed, usageOf, type Usage } from './usage.ts'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'

const SLUICE = join(await linkedBundle(), 'sluice.mjs')
const GUARANTEES = 'at least once, in order by key; diff, limits, retries, audit'

/** The surroundings of a contestant of ours. */
export interface Ground extends Pick<BenchData, 'dir' | 'file'> {
  /** Addresses of Kafka, registry and Redis, as Sluice reads them. */
  readonly services: { readonly [name: string]: string }
}

/** `sluice run` on files. With several syncs, each has its share of the rows. */
export function embedded(ground: Ground, options: { readonly syncs?: number } = {}): Contestant {
  return {
    name: 'Sluice, embedded',
    guarantees: GUARANTEES,
    send: async (work, round) => {
      const project = await projectOf(ground, work, round, options)
      const { usage } = await runTimed([process.execPath, SLUICE, 'run', '--all', '--json', '--dir', project])
      return { sluice: usage }
    },
  }
}

/** One process of each service, or as many as `counts` says, from the CSV file. */
export function distributed(
  ground: Ground,
  options: { readonly processes?: number; readonly partitions?: number } = {},
): Contestant {
  const { processes = 1, ...ofProject } = options
  return {
    name: 'Sluice, distributed',
    guarantees: GUARANTEES,
    send: async (work, round) => {
      const project = await projectOf(ground, work, round, ofProject)
      const counts = { 'change-detector': 1, renderer: processes, delivery: processes }
      await using services = await startDistributed({ services: ground.services, counts })
      const before = await usagesOf(services)
      await runIn(services, project)
      return usedSince(before, await usagesOf(services))
    },
  }
}

/** Renderer and delivery alone: all changes are in their topic when the two start. */
export function fromChanges(ground: Ground): Contestant {
  return {
    name: 'Sluice, renderer and delivery',
    guarantees: GUARANTEES,
    send: async (work, round) => {
      const project = await projectOf(ground, work, round)
      const none = { 'change-detector': 0, renderer: 0, delivery: 0 }
      await using services = await startDistributed({ services: ground.services, counts: none })
      const detector = await services.add('change-detector')
      const running = runIn(services, project)
      await Promise.race([running, published(services, work.rows)])
      await Promise.all([services.add('renderer'), services.add('delivery')])
      const before = await usagesOf(services)
      await running
      const { [detector.name]: _, ...used } = usedSince(before, await usagesOf(services))
      return used
    },
  }
}

async function projectOf(
  ground: Ground,
  work: Work,
  round: string,
  options: Pick<BenchOptions, 'partitions' | 'syncs'> = {},
): Promise<string> {
  const project = join(ground.dir, `project-${round}`)
  await mkdir(project, { recursive: true })
  const file = await ground.file(work.rows / (options.syncs ?? 1))
  const yaml = benchProject(file, work.receiver.url, { batch: work.batch, ...options })
  await writeFile(join(project, 'project.yaml'), yaml)
  return project
}

/** Runs the sync of a project in these services. */
export async function runIn(services: Distributed, project: string): Promise<void> {
  const args = ['--disable-warning=ExperimentalWarning', SLUICE, 'run', 'rows', '--json', '--dir', project]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...services.env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`sluice run ended with ${String(code)}\n${services.logs(20)}`)
}

/** Resolves once all changes are in their topic, and nothing follows for a second. */
async function published(services: Distributed, rows: number): Promise<void> {
  const brokers = services.env['SLUICE_KAFKA_BROKERS'] ?? ''
  const admin = kafkaAt(brokers).admin()
  await admin.connect()
  try {
    for (let last = -1; ;) {
      await delay(1000)
      const topic = `${services.prefix}.rows.changes`
      const offsets = await admin.fetchTopicOffsets(topic).catch(() => [])
      const now = offsets.reduce((sum, { high }) => sum + Number(high), 0)
      if (now >= rows && now === last) return
      last = now
    }
  } finally {
    await admin.disconnect()
  }
}

export async function usagesOf(services: Distributed): Promise<ReadonlyMap<string, Usage>> {
  const pairs = services.processes.map(async each => [each.label, await usageOf(each.pid)] as const)
  return new Map(await Promise.all(pairs))
}

/** By service: what all its processes used since then, and the peak of the largest. */
export function usedSince(before: ReadonlyMap<string, Usage>, after: ReadonlyMap<string, Usage>): Used {
  const names = new Set([...after.keys()].map(withoutNumber))
  const used = [...names].map(name => {
    const own = [...after].filter(([label]) => withoutNumber(label) === name)
    const cpuSeconds = own.reduce(
      (sum, [label, usage]) => sum + usage.cpuSeconds - (before.get(label)?.cpuSeconds ?? 0),
      0,
    )
    return [name, { cpuSeconds, peakRssMb: Math.max(...own.map(([, usage]) => usage.peakRssMb)) }] as const
  })
  return Object.fromEntries(used)
}

function withoutNumber(label: string): string {
  return label.replace(/-\d+$/, '')
}

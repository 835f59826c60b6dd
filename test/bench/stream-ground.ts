/** What the benchmark of streams has Sluice do: projects of streams, and the processes that serve them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'
import { startDistributed } from '../e2e/distributed.ts'
import { CONCURRENCY } from './bench-project.ts'
import { usagesOf } from './ours.ts'
import { runTimed, usageOf, type Usage } from './usage.ts'

const SLUICE = join(await linkedBundle(), 'sluice.mjs')

export interface StreamGround {
  readonly dir: string
  readonly receiver: string
  readonly profile: 'embedded' | 'distributed'
  /** Addresses of Kafka, registry and Redis, as Sluice reads them. */
  readonly services: { readonly [name: string]: string }
}

/** Sluice, with what all of its processes have used since they were started. */
export interface Serving extends AsyncDisposable {
  /** CPU seconds together, and the peak memory of the largest. */
  usage(): Promise<Usage>
}

/** Streams by the YAML of their sources and models: each model is a stream of its own, under its name. */
export async function streamProject(
  { dir, receiver }: StreamGround,
  resources: string,
  { models, batch }: { readonly models: readonly string[]; readonly batch: number },
): Promise<string> {
  const project = await mkdtemp(join(dir, 'project-'))
  const syncs = models.map(
    model => `---
kind: sync
name: ${model}
model: ${model}
destination: receiver
schedule: continuous
timeout: 2m
removalGuard: false
firstRun: skip-existing
triggers:
  added: &all
    batch: { size: ${batch} }
    method: POST
    path: /rows
    body:
      json: '[{% for row in rows %}{"id":{{ row.id | json }},"name":{{ row.name | json }},"at":{{ row.at | json }}},{% endfor %}]'
  changed: *all
`,
  )
  const yaml = `${resources}---
kind: destination
name: receiver
baseUrl: ${receiver}
allowPrivateNetwork: true
limits: { rate: { requests: 1000000, per: second }, concurrency: ${CONCURRENCY} }
${syncs.join('')}`
  await writeFile(join(project, 'project.yaml'), yaml)
  return project
}

/** Serves the project until it is disposed. */
export async function serve(ground: StreamGround, project: string): Promise<Serving> {
  return ground.profile === 'embedded' ? await serveEmbedded(project) : await serveOnKafka(ground, project)
}

async function serveEmbedded(project: string): Promise<Serving> {
  const server = spawn(process.execPath, [...FLAGS, SLUICE, 'up', '--json', '--dir', project], {
    env: { ...process.env, SLUICE_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(server, 'exit')
  const listening = once(createInterface({ input: server.stdout }), 'line').then(() => true)
  if (!(await Promise.race([listening, ended.then(() => false)]))) throw new Error('sluice up ended')
  return {
    usage: () => usageOf(server.pid ?? 0),
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM')
      await ended
    },
  }
}

async function serveOnKafka({ services }: StreamGround, project: string): Promise<Serving> {
  const running = await startDistributed({ services })
  await runTimed([process.execPath, ...FLAGS, SLUICE, 'apply', '--dir', project], {
    env: { ...process.env, ...running.env },
  })
  return {
    async usage() {
      const all = [...(await usagesOf(running)).values()]
      return {
        cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
        peakRssMb: Math.max(...all.map(({ peakRssMb }) => peakRssMb)),
      }
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}

const FLAGS = ['--disable-warning=ExperimentalWarning']

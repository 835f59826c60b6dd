/** A real Prometheus that looks at a server, with the rules of deploy/prometheus. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { ensurePrograms } from '../../deploy/local/install.ts'
import { freePorts } from '../../deploy/local/ports.ts'
import { runService } from '../../deploy/local/service.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { OTHERS, servedFolder } from './one-folder.ts'

const DEPLOY = fileURLToPath(new URL('../../deploy/prometheus', import.meta.url))
const WITHIN = { timeout: 60_000, interval: 200 }
const config = z.looseObject({
  global: z.object({ scrape_interval: z.string(), evaluation_interval: z.string() }),
  scrape_configs: z.array(z.object({ job_name: z.string() })),
})
const labelled = z.looseObject({ sync: z.string().optional() })
const found = z.object({
  data: z.object({
    result: z.array(z.object({ metric: labelled, value: z.tuple([z.number(), z.string()]) })),
  }),
})
const firing = z.object({
  data: z.object({ alerts: z.array(z.object({ labels: labelled.extend({ alertname: z.string() }) })) }),
})

interface Prometheus extends AsyncDisposable {
  /** Evaluates an expression now, by sync. */
  query(expression: string): Promise<{ readonly [sync: string]: number }>
  /** The alerts that fire, as `ALERT sync`. */
  alerts(): Promise<string[]>
}

/** It looks every second in place of every 15. All else is as deploy/prometheus has it. */
async function startPrometheus(target: string): Promise<Prometheus> {
  const [program = ''] = await ensurePrograms([{ command: 'prometheus', debianPackage: 'prometheus' }])
  const workspace = new Workspace()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'))
  const [port = 0] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  const own = config.parse(parse(await readFile(join(DEPLOY, 'prometheus.yaml'), 'utf8')))
  const console = own.scrape_configs.find(({ job_name: name }) => name === 'sluice-console')
  const file = join(folder, 'prometheus.yaml')
  await writeFile(
    file,
    stringify({
      ...own,
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(DEPLOY, 'sluice-rules.yaml')],
      scrape_configs: [{ ...console, static_configs: [{ targets: [target] }] }],
    }),
  )
  await runService(workspace, {
    name: 'redis',
    process: 'prometheus',
    address: url,
    command: [
      program,
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    answers: async () => (await fetch(`${url}/-/ready`)).ok,
    startTimeoutMs: 30_000,
  })
  const ask = async (path: string): Promise<unknown> => await (await fetch(`${url}/api/v1/${path}`)).json()
  return {
    async query(expression) {
      const { data } = found.parse(await ask(`query?query=${encodeURIComponent(expression)}`))
      return Object.fromEntries(data.result.map(({ metric, value }) => [metric.sync ?? '', Number(value[1])]))
    },
    async alerts() {
      const { data } = firing.parse(await ask('alerts'))
      return data.alerts.map(({ labels }) => `${labels.alertname} ${labels.sync ?? ''}`)
    },
    async [Symbol.asyncDispose]() {
      await workspace.close({ keepLogs: false })
      await rm(folder, { recursive: true, force: true })
    },
  }
}

it('a sync that fails once, as the first event of a process, is an alert of its own', async () => {
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await startScriptedApi())
  const { project, url } = opening.use(await servedFolder(api, {}, '', OTHERS))
  const prometheus = opening.use(await startPrometheus(new URL(url).host))
  const failed = 'sum by (sync) (sluice_runs_total{status="failed"})'
  // Prometheus has looked before anything happened: each sync counts from 0.
  await expect.poll(() => prometheus.query(failed), WITHIN).toEqual({ people: 0, others: 0 })
  expect((await project.run('others')).exitCode).toBe(0)
  await rm(join(project.dir, 'people.csv'))
  expect((await project.run('people')).view).toMatchObject({ status: 'failed' })
  await expect.poll(() => prometheus.alerts(), WITHIN).toEqual(['SluiceRunFailed people'])
  // By the counter itself, and not since it has just appeared.
  const risen = 'sum by (sync) (increase(sluice_runs_total{status="failed"}[15m])) > 0'
  await expect.poll(async () => Object.keys(await prometheus.query(risen)), WITHIN).toEqual(['people'])
  expect(await prometheus.query('sluice_runs_total{status="success"} > 0')).toEqual({ others: 1 })
}, 240_000)

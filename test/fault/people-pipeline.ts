/**
 * Many people, delivered by any number of processes of each service to a scripted API in a process of its
 * own. Each person is one request, and a run changes all of them.
 */
import type { RunView } from '@sluice/contracts/api'
import type { RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { forkScriptedApi, type ForkedApi } from '@sluice/testkit/scripted-api-fork'
import type { RecordedRequest } from '@sluice/testkit/scripted-api'
import { startDistributed, type Distributed, type DistributedOptions } from '../e2e/distributed.ts'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'
import { finishedRequests, gaplessStretches, Topics } from './topics.ts'

export const CONCURRENCY = 20
/** The time that the API takes to answer, so that requests are in flight whenever a process dies. */
const ANSWER_MS = 8
/** Rendering a person takes long enough that a renderer can be killed in the middle. */
const BODY = `'{"name":{{ row.name | json }}{% for i in (1..4000) %}{% endfor %}}'`
const TRIGGERS = `
  added: { method: PUT, path: '/people/{{ id }}', body: { json: ${BODY} } }
  changed: added`
const SETTLED_WITHIN_MS = 60_000

export interface PipelineOptions extends DistributedOptions {
  readonly people: number
  /** Requests per second. */
  readonly rate?: number
  /** Default `CONCURRENCY`. */
  readonly concurrency?: number
  /** Time-out of a request. A dead process's share of the limits is free again 5 s after it. */
  readonly timeout?: string
  /** Further fields of the sync, one a line. */
  readonly sync?: string
}

export interface Pipeline extends AsyncDisposable {
  readonly services: Distributed
  readonly api: ForkedApi
  readonly project: ProjectFolder
  readonly topics: Topics
  readonly people: number
  /** Gives the first people (default all) the name `name VERSION`, and the others the version before. */
  rename(version: number, people?: number): Promise<void>
  /** Runs `sluice run`, and gives its output. Rejects with the services' logs if it takes too long. */
  run(): Promise<{ readonly exitCode: number | null; readonly view: RunView }>
  /** Waits until no run is queued or under way; gives all runs, oldest first. */
  settled(): Promise<readonly RunEvent[]>
  /** Waits until the last run has succeeded. A run that was cut ends as failed, and a new one follows. */
  succeeded(): Promise<void>
  /** Requests for `name VERSION` seen so far. */
  sentOf(version: number): readonly RecordedRequest[]
  /** Throws if a topic shows that something was lost, doubled or out of place, or if counts do not add up. */
  auditTopics(): Promise<void>
}

export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { people, rate = 4000, concurrency = CONCURRENCY, timeout = '2s', sync = '' } = options
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await forkScriptedApi())
  api.on({}, { delayMs: ANSWER_MS })
  const env = { ...options.env, API_URL: api.url }
  const services = opening.use(await startDistributed({ ...options, env }))
  const limits = `limits: { rate: { requests: ${rate}, per: second }, concurrency: ${concurrency} }`
  const settings = [`timeout: ${timeout}`, sync].join('\n')
  const yaml = peopleYaml({ destination: limits, sync: settings, triggers: TRIGGERS })
  const project = opening.use(
    await projectFolder({ files: { 'project.yaml': yaml }, env: { ...env, ...services.env } }),
  )
  const topics = opening.use(await Topics.open(services.env, SYNC))
  const opened = opening.move()

  const runs = (): readonly RunEvent[] => [...(topics.runs.of(SYNC)?.events.values() ?? [])]
  return {
    services,
    api,
    project,
    topics,
    people,
    rename: (version, renamed = people) =>
      project.write(
        'people.csv',
        peopleCsv(
          ...Array.from({ length: people }, (_, id) => `${id},name ${id < renamed ? version : version - 1}`),
        ),
      ),
    run: () => runWithin(SETTLED_WITHIN_MS, project, services),
    settled: async () => {
      await topics.caughtUp()
      const signal = AbortSignal.timeout(SETTLED_WITHIN_MS)
      const over = (): boolean => runs().every(({ status }) => isEnded(status))
      await topics.runs.until(over, { signal }).catch((error: unknown) => {
        throw new Error(`a run hangs; ${services.logs()}`, { cause: error })
      })
      return runs()
    },
    succeeded: async () => {
      await topics.caughtUp()
      const signal = AbortSignal.timeout(SETTLED_WITHIN_MS)
      const success = (): boolean =>
        runs().every(({ status }) => isEnded(status)) && runs().at(-1)?.status === 'success'
      await topics.runs.until(success, { signal }).catch((error: unknown) => {
        const known = runs().map(({ run, status, error: why }) => `${String(run)} ${status} ${why ?? ''}`)
        throw new Error(`no success: ${known.join(', ')}; ${services.logs()}`, { cause: error })
      })
    },
    sentOf: version => api.requests.filter(({ body }) => body.includes(`"name ${version}"`)),
    auditTopics: () => audit(topics, runs()),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Waits until the markers `run-end` of the run are all written. Rejects if the run ends before. */
export async function published(pipeline: Pipeline, run: Promise<unknown>): Promise<void> {
  const over = run.then(() => Promise.reject(new Error('the run is over')))
  await Promise.race([allPublished(pipeline), over])
}

async function allPublished({ api, topics }: Pipeline): Promise<void> {
  const sentBefore = api.requests.length
  for (let seen = sentBefore + 1; ; seen = api.requests.length + 1) {
    await api.waitFor(seen)
    await topics.caughtUp()
    if (topics.runs.of(SYNC) === undefined) continue
    const partitions = await topics.records('changes')
    if (partitions.every(records => isRunEnd(records.at(-1)))) return
  }
}

function isRunEnd(placed: { readonly record: unknown } | undefined): boolean {
  return JSON.stringify(placed?.record ?? null).includes('"kind":"run-end"')
}

async function runWithin(
  limitMs: number,
  project: ProjectFolder,
  services: Distributed,
): Promise<{ readonly exitCode: number | null; readonly view: RunView }> {
  const child = project.start('run', SYNC, '--json')
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const { exitCode, stdout, stderr } = await finished(child)
  clearTimeout(timer)
  if (stdout === '') throw new Error(`no answer from sluice: ${stderr}; ${services.logs()}`)
  const view: RunView = JSON.parse(stdout)
  return { exitCode, view }
}

async function audit(topics: Topics, runs: readonly RunEvent[]): Promise<void> {
  gaplessStretches(await topics.records('changes'))
  const requests = gaplessStretches(await topics.records('requests'))
  const finished = finishedRequests(await topics.records('attempts'))
  for (const { run, partition, records } of requests)
    for (let seq = 0; seq < records; seq += 1)
      if (!finished.has(`${run}/${partition}/${seq}`))
        throw new Error(`request ${run}/${partition}/${seq} has no attempt that finished it`)
  for (const { run, counts } of runs)
    for (const [op, { detected, delivered, rejected, unknown, unsent }] of Object.entries(counts))
      if (detected !== delivered + rejected + unknown + unsent)
        throw new Error(`run ${String(run)}: ${detected} were ${op}, but ${JSON.stringify(counts)}`)
}

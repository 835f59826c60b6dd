/**
 * Runs tests of syncs: each case on a pipeline of this profile of its own, with rows and answers that the
 * case gives. Its files are in a temporary folder, which is in memory if the system has a folder there, and
 * begin as copies of those of a pipeline that did nothing. The cases share only DuckDB, which takes longer to
 * open than all other parts.
 */
import { cpSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AttemptView, RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { SharedInstance } from '@sluice/delivered-state/adapters/state/state-file'
import { openState } from '@sluice/delivered-state/adapters/state-cache'
import { projectCatalog, type Catalog } from '@sluice/control/catalog'
import type { Pipeline } from '@sluice/control/pipeline'
import { ProjectControl } from '@sluice/control/project-control'
import { fillSecrets } from '@sluice/contracts/secret-references'
import { endOf } from '@sluice/flow/ends'
import type { Project } from '@sluice/project/project'
import type { SyncTestCase, TestAnswer } from '@sluice/project/sync-tests/sync-test-schema'
import type { Logger } from '@sluice/runtime/logger'
import { userName } from '@sluice/runtime/machine/user-name'
import { GivenSources, type GivenRows } from '@sluice/sources/adapters/given'
import type { CaseRun, SyncTesting } from '@sluice/project/sync-tests/sync-testing'
import { openEmbedded } from '../compose.ts'
import { ScriptedApi } from './scripted-api.ts'
import type { EmbeddedOptions, Simulation } from '../source-options.ts'
import { testedProject, testedSecrets } from './tested-project.ts'

const IN_MEMORY = '/dev/shm'
const PAGE = 1_000

interface TestingOptions {
  readonly logger: Logger
  readonly newRunId: () => string
  readonly signal: AbortSignal
}

export async function openSyncTesting(
  project: Project,
  { logger, newRunId, signal }: TestingOptions,
): Promise<SyncTesting> {
  await using opening = new AsyncDisposableStack()
  const dir = await mkdtemp(join(IN_MEMORY, 'sluice-test-')).catch(() =>
    mkdtemp(join(tmpdir(), 'sluice-test-')),
  )
  opening.defer(() => rm(dir, { recursive: true, force: true }))
  const world = opening.use(new TestedWorld(dir))
  let cases = 0
  const common = { env: testedSecrets(project), logger, newRunId, signal, mask: ignored, tell: ignored }
  const unused = join(dir, 'unused')
  await mkdir(unused)
  await (await openEmbedded({ ...common, dir: unused }))[Symbol.asyncDispose]()
  const opened = opening.move()
  return {
    run: async (sync, test) => {
      cases += 1
      const own = join(dir, `case-${cases}`)
      cpSync(unused, own, { recursive: true })
      try {
        await using pipeline = await startPipeline({ ...common, dir: own, simulation: world })
        return await runCase({ project, pipeline, world, signal }, sync, test)
      } finally {
        // Few files in memory are removed at once, without a thread for each.
        rmSync(own, { recursive: true, force: true })
      }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const ignored = (): void => undefined

/** Opens a pipeline whose services are at work until the caller disposes it. */
async function startPipeline(options: EmbeddedOptions): Promise<Pipeline> {
  await using opening = new AsyncDisposableStack()
  const pipeline = opening.use(await openEmbedded(options))
  const drain = new AbortController()
  const services = pipeline.start(null, { drain: drain.signal, abort: options.signal })
  services.catch(() => undefined)
  opening.defer(async () => {
    drain.abort()
    await services
  })
  const opened = opening.move()
  return {
    ...pipeline,
    servicesElsewhere: true,
    start: (_, ends) => Promise.race([services, endOf(ends.drain)]),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The rows and the API of the case that runs. */
class TestedWorld implements AsyncDisposable {
  readonly api = new ScriptedApi()
  readonly #shared = new SharedInstance()
  readonly #sources: GivenSources
  #given: GivenRows = { rows: [], types: {} }

  constructor(dir: string) {
    this.#sources = new GivenSources(dir)
  }

  begin(given: GivenRows, answers: readonly TestAnswer[]): void {
    this.#given = given
    this.api.begin(answers)
  }

  readonly openSource = () => Promise.resolve(this.#sources.open(this.#given))
  readonly openSender = () => this.api
  readonly openState: Simulation['openState'] = (dataDir, state, logger) =>
    openState(dataDir, { ...state, shared: this.#shared }, logger)

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared[Symbol.asyncDispose]()
    await this.#sources[Symbol.asyncDispose]()
  }
}

interface Tested {
  readonly project: Project
  readonly pipeline: Pipeline
  readonly world: TestedWorld
  readonly signal: AbortSignal
}

async function runCase(
  { project, pipeline, world, signal }: Tested,
  sync: string,
  { before, beforeAnswers, rows, types = {}, answers = [] }: Omit<SyncTestCase, 'name'>,
): Promise<CaseRun> {
  const sends = new Set(before !== undefined && beforeAnswers === undefined ? [] : [sync])
  const catalog = projectCatalog(testedProject(project, sends))
  const { destination } = await catalog.definition(sync, signal)
  const following = { onProgress: () => undefined, cancel: signal }
  await using control = controlOf(catalog, pipeline)
  const run = async (given: GivenRows, scripted: readonly TestAnswer[]): Promise<RunView> => {
    world.begin(given, scripted)
    return (await control.ask('run', { name: sync }, following)).view
  }
  if (before !== undefined) {
    const first = await run({ rows: before, others: rows, types }, beforeAnswers ?? [])
    if (first.status !== 'success') {
      const why = whyNot(first, await attemptsOf(control, first, signal))
      throw new SluiceError('config', `The rows of \`before\` were not delivered: ${why}.`)
    }
  }
  const second = await run({ rows, ...(before === undefined ? {} : { others: before }), types }, answers)
  const { received } = world.api
  const attempts = await attemptsOf(control, second, signal)
  const sent = attempts.filter(({ attempt }) => attempt > 0)
  const base = fillSecrets(destination.baseUrl, name => name).replace(/\/+$/, '')
  const requests = received.map(({ url, ...request }, index) => ({
    trigger: sent[index]?.trigger ?? 'added',
    ...request,
    path: url.startsWith(base) ? url.slice(base.length) : url,
  }))
  const unsent = attempts.flatMap(({ attempt, error }) => (attempt > 0 || error === null ? [] : [error]))
  return {
    run: second,
    requests,
    unsent: [...unsent, ...(second.invalidRows ?? []).map(({ reason }) => reason)],
  }
}

function controlOf(catalog: Catalog, pipeline: Pipeline): ProjectControl {
  const unused = (): never => {
    throw new SluiceError('internal', 'a test of a sync neither previews it nor sends notices')
  }
  const held = { ...pipeline, [Symbol.asyncDispose]: () => Promise.resolve() }
  return new ProjectControl(catalog, {
    ...{ hasHistory: true, by: userName(), runsSchedules: false, open: () => Promise.resolve(held) },
    ...{ assertSecrets: () => Promise.resolve(), openNextRun: unused, openNoticeSenders: unused },
  })
}

/** Returns the attempts of a run, in the order in which they were made. */
async function attemptsOf(
  control: ProjectControl,
  { id: run }: RunView,
  signal: AbortSignal,
): Promise<readonly AttemptView[]> {
  const all: AttemptView[] = []
  let after: string | undefined
  do {
    const page = await control.call('listAttempts', { run, limit: PAGE, after }, { signal })
    all.push(...page.attempts)
    after = page.next ?? undefined
  } while (after !== undefined)
  return all.reverse()
}

function whyNot({ status, error }: RunView, attempts: readonly AttemptView[]): string {
  const failed = attempts.find(({ outcome }) => outcome !== 'delivered')
  if (error !== null) return error
  if (failed === undefined) return `their run has the status ${status}`
  return failed.error ?? `the answer ${failed.status ?? ''} counts as ${failed.outcome}`
}

/** Control of syncs through the topics of a pipeline. */
import { SluiceError } from '@sluice/contracts/errors'
import type {
  AttemptsPage,
  AttemptView,
  FailedPage,
  ReplayView,
  RequestView,
  ResourcesPage,
  RunsPage,
  RunView,
  SecretRemovedView,
  SecretSetView,
  SecretsResealedView,
  SecretsView,
  SyncsPage,
  SyncView,
} from '@sluice/contracts/api'
import type { AuditPage, DestinationsPage, HealthView } from '@sluice/contracts/api/operating'
import type { RowLife, RunFigures } from '@sluice/contracts/views/history-views'
import type { AlertsView, AlertTestedView } from '@sluice/contracts/specs/alert-views'
import type { Definition } from '@sluice/contracts/resources'
import { sleep } from '@sluice/flow/sleep'
import { keptName, type Vault } from '@sluice/secrets/vault/vault'
import { alertsOf, testAlert, type OpenTelling } from './alerts/alerts-of.ts'
import { isNew, type Asked } from './asked.ts'
import { Audit } from './audit/read-audit.ts'
import type { Catalog } from './catalog.ts'
import { destinationsPageOf } from './destinations-page.ts'
import { findDefinition } from './runs/find-definition.ts'
import { assertStatus, findHeldRun, findRun } from './runs/find-run.ts'
import { commandAbout, followRun, runCommand, sendCommands } from './runs/follow-run.ts'
import { healthOf, type HealthSource } from './health/read-health.ts'
import { EmptyHistory } from './history/empty-history.ts'
import { LogHistory } from './history/log-history.ts'
import { lastCounts } from './last-counts.ts'
import { resourcesPageOf, syncsPageOf } from './named-pages.ts'
import { shownOf, type NextRun } from './runs/next-run.ts'
import { vaultOf, type Pipeline } from './pipeline.ts'
import type {
  Approval,
  AttemptsQuery,
  AuditQuery,
  Control,
  FailedQuery,
  FollowedRun,
  Following,
  Paging,
  Preview,
  PreviewQuery,
  RecentRuns,
  ReplayQuery,
  RunHistory,
  RunRequest,
  RunsQuery,
  SecretNamed,
  SecretToSet,
  SyncsQuery,
  TestQuery,
} from './port.ts'
import { documentsHere, type DocumentWork } from './resources/apart/document-work.ts'
import { placedRun } from './resources/placed-run.ts'
import { Publication, type OnPublished } from './resources/publish-project.ts'
import { assertTrigger, type Samples } from './resources/sample-preview.ts'
import { viewOf } from './resources/written-resource.ts'
import { StoredKeeping } from './resources/stored-keeping.ts'
import { requestOf, sendTest } from './send-test.ts'
import { unknownRun, unknownSync } from './unknown-names.ts'
import { RunWaits } from './waits/run-waits.ts'
import { UntakenRuns } from './waits/untaken-runs.ts'

/** How long whoever deletes a sync waits for a detector in another process. */
const FORGOTTEN_WITHIN_MS = 10_000

/** Where syncs run: in a project's folder, or on Kafka. */
export interface Place {
  /** False if nothing ever ran. Then there is nothing to see, and looking at history makes no files. */
  readonly hasHistory: boolean
  /** The user of this process, if it is a command. */
  readonly by?: string
  /**
   * Rejects with `unreachable` if a service does not answer, and with `conflict` if another process has the
   * folder open.
   */
  readonly open: () => Promise<Pipeline>
  /**
   * Rejects with `config` if the services that run here lack a secret of the definition. It opens the
   * pipeline only for secrets that are in the vault. Without `open` it passes over those.
   */
  readonly assertSecrets: (definition: Definition, open: (() => Promise<Pipeline>) | null) => Promise<void>
  readonly openNextRun: (definition: Definition, signal: AbortSignal) => Promise<NextRun>
  /** Absent in a process that reads no sources for others. */
  readonly samples?: Samples
  /** What works on documents; absent in a process that does so for its own user. */
  readonly documents?: DocumentWork
  /** What a server knows of itself. Absent in a command. */
  readonly health?: HealthSource
  /** What notices of alerts are told with, with the secrets of this vault. */
  readonly openTelling: OpenTelling
  /** False where no process starts the runs of schedules. */
  readonly runsSchedules?: boolean
  /** Called once the project is published. */
  readonly onPublished?: OnPublished
}

/** Control of the syncs of a catalog. It opens the topics when it needs them. */
export class ProjectControl implements Control {
  readonly #catalog: Catalog
  readonly #place: Place
  readonly keeping: StoredKeeping
  #pipeline: Promise<Pipeline> | null = null
  #history: Promise<RunHistory> | null = null
  readonly #publication: Publication
  #waits: RunWaits | null = null
  readonly #untaken = new UntakenRuns()
  #audit: Audit | null = null

  constructor(catalog: Catalog, place: Place) {
    this.#catalog = catalog
    this.#place = place
    this.keeping = new StoredKeeping({
      hasHistory: place.hasHistory,
      open: () => this.#open(),
      ...(catalog.stored === undefined ? {} : { stored: catalog.stored }),
      samples: place.samples ?? null,
      documents: place.documents ?? documentsHere,
      openNextRun: (definition, signal) => place.openNextRun(definition, signal),
      forgetSync: (of, signal) => this.#forgetSync(of, signal),
    })
    const publishing = { ...place, catalog, keeping: this.keeping, open: () => this.#open() }
    this.#publication = new Publication(publishing)
  }

  async askForRun({ sync, cause, scope }: RunRequest, following: Following): Promise<FollowedRun> {
    const more = { ...(cause === undefined ? {} : { cause }), ...(scope === undefined ? {} : { scope }) }
    return await this.#askForNew(sync, more, following)
  }

  async reset(sync: string, following: Following): Promise<FollowedRun> {
    return await this.#askForNew(sync, { kind: 'reset', cause: 'reset' }, following)
  }

  async approve({ run: id, destination }: Approval, following: Following): Promise<FollowedRun> {
    const pipeline = await this.#pipelineOf(id)
    const held = await findHeldRun(pipeline, { id, destination }, following.cancel)
    const of = { definition: await this.#definitionOf(held.sync, following.cancel), publishes: true }
    const by = following.by ?? this.#place.by ?? null
    const command = { ...commandAbout(held, 'approve', by), destination: destination ?? null }
    const isNew = destination === 'new'
    if (!isNew) return await this.#ask({ ...of, command, runId: held.runId, beyond: held }, following)
    const scope = { as: 'added', key: null, status: null } as const
    const run = runCommand(pipeline, held.sync, { cause: 'resync', scope, by, destination })
    const after = { ...command, id: pipeline.newRunId() }
    return await this.#ask({ ...of, after, command: run, runId: run.id }, following)
  }

  async cancel(id: string, following: Following): Promise<FollowedRun> {
    const { cancel: signal } = following
    const pipeline = await this.#pipelineOf(id)
    const run = this.#untaken.of(id) ?? (await findRun(pipeline, id, signal))
    assertStatus(run, ['queued', 'running', 'held'], 'cancel')
    const { definition: hash, runId, status } = run
    const { definition } = await findDefinition(pipeline, hash, signal)
    const command = commandAbout(run, 'cancel', following.by ?? this.#place.by ?? null)
    const asked = { command, runId, definition, publishes: false }
    return await this.#ask(status === 'held' ? { ...asked, beyond: run } : asked, following)
  }

  async runs(query: RunsQuery, signal: AbortSignal): Promise<RunsPage> {
    return await (await this.#opened(signal)).runs(query, signal)
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    return await placedRun(await (await this.#opened(signal)).run(id, signal), this.#catalog, signal)
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    yield* (await this.#opened(signal)).follow(id, signal)
  }

  async attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    return await (await this.#opened(signal)).attempts(query, signal)
  }

  async request(id: string, signal: AbortSignal): Promise<RequestView> {
    return await (await this.#opened(signal)).request(id, signal)
  }

  async row(of: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife> {
    return await (await this.#opened(signal)).row(of, signal)
  }

  async figures(run: string, most: number, signal: AbortSignal): Promise<RunFigures> {
    return await (await this.#opened(signal)).figures(run, most, signal)
  }

  async failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    const page = await (await this.#opened(signal)).failed(query, signal)
    if (!page.rows.some(({ outcome }) => outcome === 'unknown')) return page
    const specs = await this.#catalog.resources(signal)
    const sync = specs.find(spec => spec.kind === 'sync' && spec.name === query.sync)
    return { ...page, atMostOnce: sync?.kind === 'sync' && sync.delivery === 'at-most-once' }
  }

  async replayable(query: ReplayQuery, signal: AbortSignal): Promise<ReplayView> {
    return await (await this.#opened(signal)).replayable(query, signal)
  }

  async preview({ sync, ...narrowing }: PreviewQuery, signal: AbortSignal): Promise<Preview> {
    const definition = await this.#catalog.definition(sync, signal)
    if (narrowing.op !== undefined) assertTrigger(definition, narrowing.op)
    const next = await this.#openNextRun(definition, signal)
    return { ...next, requests: shownOf(next.requests(narrowing)) }
  }

  async #openNextRun(definition: Definition, signal: AbortSignal): Promise<NextRun> {
    await this.#publication.assertOwn(definition, signal)
    try {
      return await this.#place.openNextRun(definition, signal)
    } catch (error) {
      throw this.#catalog.placed?.(error, definition) ?? error
    }
  }

  async sendTest(query: TestQuery, signal: AbortSignal): Promise<AttemptView> {
    const definition = await this.#definitionOf(query.sync, signal)
    assertTrigger(definition, query.op)
    await using next = await this.#openNextRun(definition, signal)
    const request = await requestOf(next, query)
    const pipeline = await this.#open()
    // No detector is asked for anything.
    return await this.#withServices(new Set(), failed =>
      sendTest(pipeline, { definition, request }, AbortSignal.any([signal, failed])),
    )
  }

  async syncs(query: SyncsQuery, signal: AbortSignal): Promise<SyncsPage> {
    const resources = await this.#catalog.resources(signal)
    return await syncsPageOf(resources, await this.#opened(signal), {
      ...query,
      ...this.#schedules(),
      signal,
    })
  }

  async sync(name: string, query: RecentRuns, signal: AbortSignal): Promise<SyncView> {
    const resources = (await this.#catalog.resources(signal)).filter(spec => spec.name === name)
    const all = { ...query, ...this.#schedules(), limit: 1, after: undefined }
    const { syncs } = await syncsPageOf(resources, await this.#opened(signal), { ...all, signal })
    const [found] = syncs
    if (found === undefined) throw unknownSync(name, await this.#catalog.syncs(signal))
    return found
  }

  #schedules(): { readonly runsSchedules: boolean } {
    return { runsSchedules: this.#place.runsSchedules ?? true }
  }

  async alerts(signal: AbortSignal): Promise<AlertsView> {
    const pipeline = this.#place.hasHistory ? await this.#open() : null
    return await alertsOf(await this.#catalog.resources(signal), pipeline, signal)
  }

  async testAlert(name: string, signal: AbortSignal): Promise<AlertTestedView> {
    const resources = await this.#catalog.resources(signal)
    const pipeline = this.#place.hasHistory ? await this.#open() : null
    const { openTelling } = this.#place
    const vault = pipeline === null ? null : await vaultOf(pipeline)
    return await testAlert(name, { resources, openTelling, vault, signal })
  }

  async audit(query: AuditQuery, signal: AbortSignal): Promise<AuditPage> {
    if (!this.#place.hasHistory) return { entries: [], next: null }
    this.#audit ??= new Audit(await this.#open(), this.#catalog.stored)
    return await this.#audit.page(query, signal)
  }

  async health(signal: AbortSignal): Promise<HealthView> {
    return await healthOf(this.#place.health, { open: () => this.#open(), signal })
  }

  async destinations(paging: Paging, signal: AbortSignal): Promise<DestinationsPage> {
    const usage = this.#place.hasHistory ? ((await this.#open()).usage ?? null) : null
    return await destinationsPageOf(await this.#catalog.resources(signal), usage, { ...paging, signal })
  }

  async resources(paging: Paging, signal: AbortSignal): Promise<ResourcesPage> {
    const { views } = this.#catalog
    const all =
      views === undefined ? (await this.#catalog.resources(signal)).map(viewOf) : await views(signal)
    return resourcesPageOf(all, paging)
  }

  async secrets(signal: AbortSignal): Promise<SecretsView> {
    if (!this.#place.hasHistory) return { secrets: [] }
    const vault = await this.#vault()
    await vault.caughtUp({ signal })
    const secrets = vault.list().map(({ kind, name, grants, since, sealedBy, by }) => {
      return { kind, name, for: grants, since: new Date(since).toISOString(), by, key: sealedBy }
    })
    return { secrets }
  }

  async setSecret(secret: SecretToSet, signal: AbortSignal): Promise<SecretSetView> {
    const { name, value, grants, by = this.#place.by ?? null } = secret
    const kept = keptName(name)
    const of = { kind: 'secret', name: kept, value, by, ...(grants === undefined ? {} : { grants }) } as const
    const vault = await this.#vault()
    const set = await lastCounts(() => vault.set(of, { signal }))
    return { name: kept, for: set.grants, replaced: set.replaced }
  }

  async removeSecret(secret: SecretNamed, signal: AbortSignal): Promise<SecretRemovedView> {
    const { kind, name, by = this.#place.by ?? null } = secret
    const kept = kind === 'secret' ? keptName(name) : name
    const isThere =
      this.#place.hasHistory &&
      (await lastCounts(async () => (await this.#vault()).remove({ kind, name: kept, by }, { signal })))
    if (isThere) return { removed: kept }
    throw new SluiceError(
      'not-found',
      `The vault has no ${kind} \`${kept}\`. \`sluice secret list\` lists what it has.`,
    )
  }

  async resealSecrets(signal: AbortSignal): Promise<SecretsResealedView> {
    if (!this.#place.hasHistory) return { resealed: 0 }
    return { resealed: await (await this.#vault()).reseal({ signal }) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#pipeline?.catch(() => null))?.[Symbol.asyncDispose]()
  }

  #open(): Promise<Pipeline> {
    this.#pipeline ??= this.#place.open()
    return this.#pipeline
  }

  async #vault(): Promise<Vault> {
    const vault = await vaultOf(await this.#open())
    if (vault !== null) return vault
    throw new SluiceError(
      'config',
      'This server keeps no secrets, since it has no key: set SLUICE_ENCRYPTION_KEY to the one of the services and start it again.',
    )
  }

  /** Throws `not-found` if no run can exist. */
  async #pipelineOf(run: string): Promise<Pipeline> {
    if (!this.#place.hasHistory) throw unknownRun(run)
    return await this.#open()
  }

  #opened(signal: AbortSignal): Promise<RunHistory> {
    this.#history ??= this.#openHistory(signal)
    return this.#history
  }

  async #openHistory(signal: AbortSignal): Promise<RunHistory> {
    if (!this.#place.hasHistory) return new EmptyHistory(await this.#catalog.syncs(signal))
    const pipeline = await this.#open()
    const known: Catalog['syncs'] = of => this.#catalog.syncs(of)
    const open = { waits: this.#waitsOf(pipeline), untaken: this.#untaken }
    return await LogHistory.open(pipeline, { known, ...open }, signal)
  }

  #waitsOf(pipeline: Pipeline): RunWaits {
    this.#waits ??= new RunWaits(pipeline)
    return this.#waits
  }

  async #definitionOf(sync: string, signal: AbortSignal): Promise<Definition> {
    const definition = await this.#catalog.definition(sync, signal)
    await this.#place.assertSecrets(definition, () => this.#open())
    return definition
  }

  /** Reports mistakes in the project before it opens anything. */
  async #askForNew(
    sync: string,
    more: Parameters<typeof runCommand>[2],
    following: Following,
  ): Promise<FollowedRun> {
    const definition = await this.#definitionOf(sync, following.cancel)
    const command = runCommand(await this.#open(), sync, {
      ...more,
      by: following.by ?? this.#place.by ?? null,
    })
    return await this.#ask({ command, runId: command.id, definition, publishes: true }, following)
  }

  /**
   * Resets a sync that was deleted, which takes its topics and its incarnation away. False if no detector has
   * done so in time. Then the mark of the deletion makes one do it later.
   */
  async #forgetSync(
    { sync, incarnation }: { readonly sync: string; readonly incarnation: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const pipeline = await this.#open()
    const command = runCommand(pipeline, sync, { kind: 'reset', cause: 'reset', run: incarnation })
    const asked = { command, runId: command.id, definition: null, publishes: false }
    const late = new AbortController()
    const silent = { onProgress: () => undefined, cancel: new AbortController().signal }
    // A sync that is gone by then answers to nothing. Its reset must not be waited for, and shown, for ever.
    const done = this.#ask(asked, silent, late.signal)
    const waiting = pipeline.servicesElsewhere
      ? sleep(FORGOTTEN_WITHIN_MS, { signal: AbortSignal.any([signal, late.signal]) })
      : new Promise<never>(() => undefined)
    done.catch(() => undefined)
    try {
      const ended = await Promise.race([done, waiting.then(() => null)])
      return ended?.view.status === 'success' && ended.view.cause === 'reset'
    } finally {
      late.abort(new Error('nobody waits for it any more'))
    }
  }

  /**
   * Starts the services if they run in this process, sends the command, and follows the run until `late`
   * aborts.
   */
  async #ask(
    { after, command, publishes, ...of }: Asked,
    { onProgress, cancel }: Following,
    late = new AbortController().signal,
  ): Promise<FollowedRun> {
    const pipeline = await this.#open()
    const { sync, by = null } = command
    const { signal } = new AbortController()
    await this.#publication.before({ publishes, definition: of.definition }, signal)
    // A detector takes only the commands of syncs that it was started for.
    return await this.#withServices(new Set([sync]), async failed => {
      using untaken = isNew(command) ? this.#untaken.remember(command) : null
      await sendCommands(pipeline, after === undefined ? [command] : [after, command], signal)
      const followed = { sync, by, waits: this.#waitsOf(pipeline), untaken: untaken?.event, ...of }
      const followedUntil = AbortSignal.any([failed, late])
      const { view } = await followRun(pipeline, followed, { onProgress, cancel, signal: followedUntil })
      return { view: await placedRun(view, this.#catalog, signal) }
    })
  }

  /** The services are at work for these syncs until `work` is done. Its signal aborts if they fail. */
  async #withServices<T>(syncs: ReadonlySet<string>, work: (failed: AbortSignal) => Promise<T>): Promise<T> {
    const pipeline = await this.#open()
    const done = new AbortController()
    const failed = new AbortController()
    const { signal: abort } = new AbortController()
    const services = pipeline
      .start(syncs, { drain: done.signal, abort })
      .catch((error: unknown) => failed.abort(error))
    try {
      return await work(failed.signal)
    } finally {
      done.abort()
      await services
    }
  }
}

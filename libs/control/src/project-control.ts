/** Control of syncs through the topics of a pipeline. */
import type { AttemptView, RunView } from '@sluice/contracts/api'
import type { AnswerOf, InputOf } from '@sluice/contracts/api/operation-shapes'
import type { AskName, CallName, PreviewName } from '@sluice/contracts/api/operations'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { listId } from '@sluice/domain/answers/failed-group'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Definition, DestinationSpec, ResourceSpec } from '@sluice/contracts/resources'
import type { RunScope } from '@sluice/contracts/records'
import type { ReplayScope } from '@sluice/contracts/state'
import { sleep } from '@sluice/flow/sleep'
import type { LimitUsage } from '@sluice/rate-limit/port'
import { keptName, type Vault } from '@sluice/secrets/vault/vault'
import { alertsOf, testAlert, type OpenNoticeSenders } from './alerts/alerts-of.ts'
import { Audit } from './audit/read-audit.ts'
import type { Catalog } from './catalog.ts'
import {
  judgeDestination,
  type JudgedDestination,
  type KnownMeans,
} from './destinations/destination-health.ts'
import { destinationsPageOf } from './destinations/destinations-page.ts'
import { assertStatus, findDefinition, findHeldRun, findRun } from './runs/find-run.ts'
import {
  commandAbout,
  followRun,
  isNew,
  runCommand,
  sendCommands,
  type AskedRun,
  type SeenRun,
} from './runs/follow-run.ts'
import { followToRest } from './runs/follow-to-rest.ts'
import { healthOf, type HealthSource } from './health/read-health.ts'
import { EmptyHistory } from './history/empty-history.ts'
import { LogHistory } from './history/log-history.ts'
import { runView } from './history/run-views.ts'
import { hasLabel, resourcesPageOf, syncsPageOf } from './named-pages.ts'
import { shownOf, type NextRun } from './runs/next-run.ts'
import { vaultOf, type Pipeline } from './pipeline.ts'
import type {
  Calling,
  ChangeTerms,
  Control,
  FollowedRun,
  Following,
  Preview,
  PreviewInput,
  RunHistory,
} from './port.ts'
import { documentsHere, type DocumentWork } from './resources/apart/document-work.ts'
import { placedRun } from './resources/placed-error.ts'
import { Publication, type OnPublished } from './resources/publish-project.ts'
import { assertTrigger, type Samples } from './resources/sample-preview.ts'
import { viewOf, writtenDocument } from './resources/written-resource.ts'
import { StoredKeeping } from './resources/stored-keeping.ts'
import { namedSecrets } from './resources/named-secrets.ts'
import { requestOf, sendTest } from './send-test.ts'
import { unknownRun, unknownSync } from './unknown-names.ts'
import { RunWaits } from './waits/run-waits.ts'
import { RefusedRuns } from './syncs/refused-runs.ts'
import { UntakenRuns } from './waits/untaken-runs.ts'

/** The deletion of a sync waits this long for a detector in another process. */
const FORGOTTEN_WITHIN_MS = 10_000
const SAMPLE_ROWS = 20
const NO_RUNS_YET = { all: () => [] }
const NO_RUNS: SeenRun['runs'] = { events: new Map(), reports: new Map() }
/** A change of the vault is tried at most this many times while other processes change the same secret. */
const MAX_CHANGES = 5

/** The code of each operation that answers with one document. */
type Answers = {
  readonly [Name in CallName]: (input: InputOf<Name>, calling: Calling) => Promise<AnswerOf<Name>>
}
/** The code of each operation that asks for a run, or changes one. */
type Asks = {
  readonly [Name in AskName]: (input: InputOf<Name>, following: Following) => Promise<FollowedRun>
}

/** The place in which syncs run: a project's folder, or Kafka. */
export interface ProjectHost {
  /** False if nothing ever ran. Then there is no history, and a look at it makes no files. */
  readonly hasHistory: boolean
  /** The user of this process, if it is a command. */
  readonly by?: string
  /**
   * Rejects with `unreachable` if a service does not answer, and with `conflict` if another process has the
   * folder open.
   */
  readonly open: () => Promise<Pipeline>
  /**
   * Rejects with `config` if the services that run here lack a secret of the definition. Opens the pipeline
   * only for secrets of the vault. Without `open`, it does not check these.
   */
  readonly assertSecrets: (definition: Definition, open: (() => Promise<Pipeline>) | null) => Promise<void>
  readonly openNextRun: (definition: Definition, signal: AbortSignal) => Promise<NextRun>
  /** The secrets of the vault and of the processes that send. Absent in a command that does not know them. */
  readonly destinationSecrets?: (vault: Vault | null) => KnownMeans
  /**
   * Returns the variable of this environment that sets a secret, before the vault; null if none does. Absent
   * in a process without secrets. Throws `config` for a name that no secret can have.
   */
  readonly variableOf?: (name: string) => string | null
  /** Absent in a process that reads no sources for others. */
  readonly samples?: Samples
  /** Works on documents in other threads. Absent in a process of one user, which uses its main thread. */
  readonly documents?: DocumentWork
  /** The knowledge that a server has of itself. Absent in a command. */
  readonly health?: HealthSource
  /** Opens the senders of notices of alerts, with the secrets of this vault. */
  readonly openNoticeSenders: OpenNoticeSenders
  /** False where no process starts the runs of schedules. */
  readonly runsSchedules?: boolean
  /** False where no process works on any run. */
  readonly isAtWork?: boolean
  /** Called once the project is published. */
  readonly onPublished?: OnPublished
}

/** The part of a host that depends on the project's folder. */
export type FolderHost = Pick<
  ProjectHost,
  | 'assertSecrets'
  | 'by'
  | 'destinationSecrets'
  | 'onPublished'
  | 'openNextRun'
  | 'openNoticeSenders'
  | 'samples'
  | 'variableOf'
>

/** Control of the syncs of a catalog. It opens the topics when it needs them. */
export class ProjectControl implements Control {
  readonly #catalog: Catalog
  readonly #host: ProjectHost
  readonly #keeping: StoredKeeping
  #pipeline: Promise<Pipeline> | null = null
  #history: Promise<RunHistory> | null = null
  readonly #publication: Publication
  #waits: RunWaits | null = null
  readonly #untaken = new UntakenRuns()
  readonly #refused = new RefusedRuns()
  #audit: Audit | null = null

  constructor(catalog: Catalog, host: ProjectHost) {
    this.#catalog = catalog
    this.#host = host
    this.#keeping = new StoredKeeping({
      hasHistory: host.hasHistory,
      open: () => this.#open(),
      ...(catalog.stored === undefined ? {} : { stored: catalog.stored }),
      samples: host.samples ?? null,
      documents: host.documents ?? documentsHere,
      openNextRun: (definition, signal) => host.openNextRun(definition, signal),
      forgetSync: (life, signal) => this.#forgetSync(life, signal),
    })
    const publishing = { ...host, catalog, keeping: this.#keeping, open: () => this.#open() }
    this.#publication = new Publication(publishing)
  }

  async call<Name extends CallName>(
    name: Name,
    input: InputOf<Name>,
    calling: Calling,
  ): Promise<AnswerOf<Name>> {
    return await this.#answers[name](input, calling)
  }

  async ask<Name extends AskName>(
    name: Name,
    input: InputOf<Name>,
    following: Following,
  ): Promise<FollowedRun> {
    return await this.#asks[name](input, following)
  }

  async preview<Name extends PreviewName>(
    name: Name,
    input: PreviewInput<Name>,
    { signal }: Calling,
  ): Promise<Preview> {
    return await this.#previews[name](input, signal)
  }

  async *follow(run: string, signal: AbortSignal): AsyncGenerator<RunView> {
    yield* (await this.#opened(signal)).follow(run, signal)
  }

  /** The health of all destinations, by name, as `listDestinations` answers it. Does not query the limits. */
  async destinationHealth(signal: AbortSignal): Promise<ReadonlyMap<string, DestinationHealth>> {
    const specs = await this.#catalog.resources(signal)
    const { judge } = await this.#destinationsKnown(specs, signal)
    const destinations = specs.filter(spec => spec.kind === 'destination')
    return new Map(destinations.map(spec => [spec.name, judge(spec).health]))
  }

  readonly #answers: Answers = {
    listRuns: async ({ since, until, label, ...query }, { signal }) => {
      const syncs = label === undefined ? undefined : await this.#labelled(label, signal)
      const all = { ...query, syncs, ...timesOf({ since, until }) }
      return await (await this.#opened(signal)).runs(all, signal)
    },
    getRun: async ({ id }, { signal }) =>
      await placedRun(await (await this.#opened(signal)).run(id, signal), this.#catalog, signal),
    listAttempts: async ({ since, until, q: search, bodies: searchesBodies, ...query }, { signal }) => {
      const all = { ...query, ...timesOf({ since, until }), search, searchesBodies }
      return await (await this.#opened(signal)).attempts(all, signal)
    },
    getRequest: async ({ requestId }, { signal }) =>
      await (await this.#opened(signal)).request(requestId, signal),
    getRow: async ({ name: sync, key }, { signal }) =>
      await (await this.#opened(signal)).row({ sync, key }, signal),
    getRunAnswers: async ({ id }, { signal }) => await (await this.#opened(signal)).answers(id, signal),
    getRunFigures: async ({ id, buckets }, { signal }) =>
      await (await this.#opened(signal)).figures(id, buckets, signal),
    listFailedRows: async ({ name: sync, ...query }, { signal }) => {
      const page = await (await this.#opened(signal)).failed({ sync, ...query }, signal)
      if (!page.rows.some(({ outcome }) => outcome === 'unknown')) return page
      const specs = await this.#catalog.resources(signal)
      const spec = specs.find(({ kind, name }) => kind === 'sync' && name === sync)
      return { ...page, atMostOnce: spec?.kind === 'sync' && spec.delivery === 'at-most-once' }
    },
    dryRunReplay: async ({ name: sync, ...asked }, { signal }) =>
      await (await this.#opened(signal)).replayable({ sync, scope: replayScope(asked) }, signal),

    listSyncs: async (query, { signal }) => {
      const resources = await this.#catalog.resources(signal)
      const all = { ...query, ...this.#syncFacts(signal), signal }
      return await syncsPageOf(resources, await this.#opened(signal), all)
    },
    getSync: async ({ name, runs }, { signal }) => {
      const resources = (await this.#catalog.resources(signal)).filter(
        spec => spec.name === name || spec.kind === 'destination',
      )
      const all = { runs, ...this.#syncFacts(signal), limit: 1, signal }
      const { syncs } = await syncsPageOf(resources, await this.#opened(signal), all)
      const [found] = syncs
      if (found === undefined) throw unknownSync(name, await this.#catalog.syncs(signal))
      return found
    },
    sendTest: async ({ name: sync, ...row }, { signal }) =>
      await this.#sendTest(await this.#definitionOf(sync, signal), row, signal),
    sendTestOfDocuments: async ({ sync, documents, ...row }, { signal }) => {
      const query = { sync, documents: documents.map(writtenDocument) }
      const definition = await this.#keeping.definitionIn(query, signal)
      await this.#host.assertSecrets(definition, () => this.#open())
      return await this.#sendTest(definition, row, signal)
    },
    listAlerts: async (_, { signal }) => {
      const pipeline = this.#host.hasHistory ? await this.#open() : null
      return await alertsOf(await this.#catalog.resources(signal), pipeline, signal)
    },
    testAlert: async ({ name }, { signal }) => {
      const resources = await this.#catalog.resources(signal)
      const pipeline = this.#host.hasHistory ? await this.#open() : null
      const { openNoticeSenders } = this.#host
      const vault = pipeline === null ? null : await vaultOf(pipeline)
      return await testAlert(name, { resources, openNoticeSenders, vault, signal })
    },
    listAudit: async (query, { signal }) => {
      if (!this.#host.hasHistory) return { entries: [], next: null }
      this.#audit ??= new Audit(await this.#open(), this.#catalog.stored)
      return await this.#audit.page(query, signal)
    },
    getHealth: async (_, { signal }) =>
      await healthOf(this.#host.health, { open: () => this.#open(), signal }),
    listDestinations: async (paging, { signal }) => {
      const specs = await this.#catalog.resources(signal)
      const { usage = null, judge } = await this.#destinationsKnown(specs, signal)
      return await destinationsPageOf(specs, { usage, judge }, { ...paging, signal })
    },

    listResources: async (paging, { signal }) => {
      const { views } = this.#catalog
      const all =
        views === undefined ? (await this.#catalog.resources(signal)).map(viewOf) : await views(signal)
      return resourcesPageOf(all, paging)
    },
    getResource: async (named, { signal }) => {
      try {
        return await this.#keeping.resource(named, signal)
      } catch (error) {
        if (!isSluiceError(error, 'not-found')) throw error
        // The resource may be in the files of a folder from which nothing was stored.
        const specs = await this.#catalog.resources(signal)
        const found = specs.find(({ kind, name }) => kind === named.kind && name === named.name)
        if (found === undefined) throw error
        return viewOf(found)
      }
    },
    putResource: async ({ document, takeOver, ...named }, calling) => {
      const { version, takeOver: inBody = takeOver } = typeof document === 'string' ? {} : document
      const terms = this.#termsOf({ version, takeOver: inBody }, calling)
      const written = { ...named, document: writtenDocument(document) }
      return await this.#keeping.putResource(written, terms, calling.signal)
    },
    removeResource: async ({ version, takeOver, ...named }, calling) =>
      await this.#keeping.deleteResource(
        named,
        this.#termsOf({ version, takeOver }, calling),
        calling.signal,
      ),
    getResourceHistory: async (named, { signal }) => await this.#keeping.resourceHistory(named, signal),
    rollbackResource: async ({ version, takeOver, ...named }, calling) =>
      await this.#keeping.rollbackResource(
        { ...named, to: named.to },
        this.#termsOf({ version, takeOver }, calling),
        calling.signal,
      ),
    diffResources: async ({ prune = false, takeOver = false, ...project }, { signal }) =>
      await this.#keeping.diff({ ...project, prune, takeOver }, signal),
    applyResources: async ({ prune = false, takeOver = false, ...project }, calling) => {
      const { by } = this.#termsOf({}, calling)
      return await this.#keeping.apply({ ...project, prune, takeOver }, by, calling.signal)
    },
    validateDocuments: async ({ documents }, { signal }) =>
      await this.#keeping.checkDocuments(documents.map(writtenDocument), signal),
    sampleRows: async ({ name: source, limit = SAMPLE_ROWS, documents = [], ...from }, { signal }) => {
      const query = { source, from, limit, documents: documents.map(writtenDocument) }
      return await this.#keeping.rows(query, signal)
    },

    listSecrets: async (_, { signal }) => {
      const vault = this.#host.hasHistory ? await this.#vault() : null
      await vault?.caughtUp({ signal })
      const kept = vault?.list() ?? []
      const secrets = kept.map(({ kind, name, grants, since, sealedBy, by }) => {
        return { kind, name, for: grants, since: new Date(since).toISOString(), by, key: sealedBy }
      })
      const specs = await this.#catalog.resources(signal).catch(withoutProject)
      const { variableOf = () => null, destinationSecrets } = this.#host
      const means = { kept, variableOf, knowsAll: destinationSecrets?.(vault).knowsAll ?? false }
      return { secrets, ...(specs === null ? {} : { named: namedSecrets(specs, means) }) }
    },
    setSecret: async ({ name, value, for: grants }, { signal, by = this.#host.by ?? null }) => {
      const kept = keptName(name)
      const secret = { kind: 'secret', name: kept, value, by } as const
      const vault = await this.#vault()
      const granted = grants === undefined ? secret : { ...secret, grants }
      const set = await lastCounts(() => vault.set(granted, { signal }))
      const variable = this.#host.variableOf?.(kept) ?? null
      return {
        name: kept,
        for: set.grants,
        replaced: set.replaced,
        ...(variable === null ? {} : { variable }),
      }
    },
    removeSecret: async ({ kind = 'secret', name }, { signal, by = this.#host.by ?? null }) => {
      const kept = kind === 'secret' ? keptName(name) : name
      const isThere =
        this.#host.hasHistory &&
        (await lastCounts(async () => (await this.#vault()).remove({ kind, name: kept, by }, { signal })))
      if (isThere) return { removed: kept }
      throw new SluiceError(
        'not-found',
        `The vault has no ${kind} \`${kept}\`. \`sluice secret list\` lists what it has.`,
      )
    },
    resealSecrets: async (_, { signal }) => {
      if (!this.#host.hasHistory) return { resealed: 0 }
      return { resealed: await (await this.#vault()).reseal({ signal }) }
    },
  }

  readonly #asks: Asks = {
    run: ({ name }, following) => this.#askForNew(name, {}, following),
    retry: async ({ name, ...rows }, following) => {
      const isOfAll = rows.key === undefined && rows.status === undefined && rows.group === undefined
      const scope = isOfAll ? null : await this.#failedScope(name, rows, following.cancel)
      return await this.#askForNew(name, { cause: 'retry', scope }, following)
    },
    resync: ({ name, as = 'added' }, following) =>
      this.#askForNew(name, { cause: 'resync', scope: { as, key: null, status: null } }, following),
    discard: async ({ name, ...rows }, following) => {
      const scope = await this.#failedScope(name, rows, following.cancel)
      return await this.#askForNew(name, { cause: 'discard', scope }, following)
    },
    replay: ({ name, ...asked }, following) => {
      const scope = { as: null, key: null, status: null, replay: replayScope(asked) }
      return this.#askForNew(name, { cause: 'replay', scope }, following)
    },
    reset: ({ name }, following) => this.#askForNew(name, { kind: 'reset', cause: 'reset' }, following),
    approve: async ({ id, destination }, following) => {
      const pipeline = await this.#pipelineOf(id)
      const held = await findHeldRun(pipeline, { id, destination }, following.cancel)
      const definition = await this.#definitionOf(held.sync, following.cancel)
      const asked = { definition, publishes: true }
      const by = following.by ?? this.#host.by ?? null
      const command = { ...commandAbout(held, 'approve', by), destination: destination ?? null }
      if (destination !== 'new')
        return await this.#follow({ ...asked, command, runId: held.runId, beyond: held }, following)
      const scope = { as: 'added', key: null, status: null } as const
      const run = runCommand(pipeline, held.sync, { cause: 'resync', scope, by, destination })
      const after = { ...command, id: pipeline.newRunId() }
      return await this.#follow({ ...asked, after, command: run, runId: run.id }, following)
    },
    cancel: async ({ id }, following) => {
      const { cancel: signal } = following
      const pipeline = await this.#pipelineOf(id)
      const run = this.#untaken.of(id) ?? (await findRun(pipeline, id, signal))
      assertStatus(run, ['queued', 'running', 'held'], 'cancel')
      const { definition: hash, runId, status } = run
      const { definition } = await findDefinition(pipeline, hash, signal)
      const command = commandAbout(run, 'cancel', following.by ?? this.#host.by ?? null)
      const asked = { command, runId, definition, publishes: false }
      return await this.#follow(status === 'held' ? { ...asked, beyond: run } : asked, following)
    },
  }

  readonly #previews: {
    readonly [Name in PreviewName]: (input: PreviewInput<Name>, signal: AbortSignal) => Promise<Preview>
  } = {
    preview: async ({ sync, trigger: op, key, rows }, signal) => {
      const definition = await this.#catalog.definition(sync, signal)
      if (op !== undefined) assertTrigger(definition, op)
      const next = await this.#openNextRun(definition, signal)
      return { ...next, requests: shownOf(next.requests({ op, key, rows })) }
    },
    previewDocuments: async ({ sync, trigger: op, key, rows, sample = false, documents = [] }, signal) => {
      const query = { sync, op, key, rows, sample, documents: documents.map(writtenDocument) }
      return await this.#keeping.previewDocuments(query, signal)
    },
  }

  async #sendTest(
    definition: Definition,
    { trigger: op, key }: Pick<InputOf<'sendTest'>, 'trigger' | 'key'>,
    signal: AbortSignal,
  ): Promise<AttemptView> {
    assertTrigger(definition, op)
    await using next = await this.#openNextRun(definition, signal)
    const request = await requestOf(next, { sync: definition.sync.name, op, key })
    const pipeline = await this.#open()
    // A test needs no detector, so the services start for no sync.
    return await this.#withServices(new Set(), failed =>
      sendTest(pipeline, { definition, request }, AbortSignal.any([signal, failed])),
    )
  }

  #termsOf(
    terms: { readonly version?: number | undefined; readonly takeOver?: boolean | undefined },
    { by = this.#host.by }: Calling,
  ): ChangeTerms {
    if (by === undefined) throw new SluiceError('internal', 'a change of a resource has no author')
    return { ...terms, by }
  }

  /** Returns a judge of the health of destinations, and the use of their limits, if it is known. */
  async #destinationsKnown(
    specs: readonly ResourceSpec[],
    signal: AbortSignal,
  ): Promise<{ readonly usage?: LimitUsage; readonly judge: (spec: DestinationSpec) => JudgedDestination }> {
    const now = Date.now()
    const { hasHistory, destinationSecrets } = this.#host
    if (hasHistory) await this.#opened(signal)
    const pipeline = hasHistory ? await this.#open() : null
    const vault = pipeline === null ? null : await vaultOf(pipeline).catch(withoutKey)
    const means = destinationSecrets === undefined ? null : destinationSecrets(vault)
    const runs = pipeline?.runs ?? NO_RUNS_YET
    return {
      ...(pipeline?.usage === undefined ? {} : { usage: pipeline.usage }),
      judge: spec => {
        const syncs = new Set(
          specs.flatMap(each => (each.kind === 'sync' && each.destination === spec.name ? [each.name] : [])),
        )
        return judgeDestination(spec, { syncs, runs, means, now })
      },
    }
  }

  /** The facts of syncs that history does not know. */
  #syncFacts(
    signal: AbortSignal,
  ): Pick<Parameters<typeof syncsPageOf>[2], 'runsSchedules' | 'isAtWork' | 'refusedOf'> {
    return {
      runsSchedules: this.#host.runsSchedules ?? true,
      isAtWork: this.#host.isAtWork ?? true,
      refusedOf: sync => this.#refused.of(sync, () => this.#definitionOf(sync, signal)),
    }
  }

  async #openNextRun(definition: Definition, signal: AbortSignal): Promise<NextRun> {
    await this.#publication.assertOwn(definition, signal)
    try {
      return await this.#host.openNextRun(definition, signal)
    } catch (error) {
      throw this.#catalog.placed?.(error, definition) ?? error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#pipeline?.catch(() => null))?.[Symbol.asyncDispose]()
  }

  #open(): Promise<Pipeline> {
    this.#pipeline ??= this.#host.open()
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
    if (!this.#host.hasHistory) throw unknownRun(run)
    return await this.#open()
  }

  #opened(signal: AbortSignal): Promise<RunHistory> {
    this.#history ??= this.#openHistory(signal)
    return this.#history
  }

  async #openHistory(signal: AbortSignal): Promise<RunHistory> {
    if (!this.#host.hasHistory) return new EmptyHistory(await this.#catalog.syncs(signal))
    const pipeline = await this.#open()
    const known: Catalog['syncs'] = ending => this.#catalog.syncs(ending)
    const open = { waits: this.#waitsOf(pipeline), untaken: this.#untaken }
    return await LogHistory.open(pipeline, { known, ...open }, signal)
  }

  #waitsOf(pipeline: Pipeline): RunWaits {
    this.#waits ??= new RunWaits(pipeline)
    return this.#waits
  }

  async #labelled(label: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const specs = await this.#catalog.resources(signal)
    return new Set(specs.flatMap(spec => (spec.kind === 'sync' && hasLabel(spec, label) ? [spec.name] : [])))
  }

  async #definitionOf(sync: string, signal: AbortSignal): Promise<Definition> {
    const definition = await this.#catalog.definition(sync, signal)
    await this.#host.assertSecrets(definition, () => this.#open())
    return definition
  }

  /** Reports mistakes in the project before it opens anything. */
  async #askForNew(
    sync: string,
    more: Parameters<typeof runCommand>[2],
    following: Following,
  ): Promise<FollowedRun> {
    const by = following.by ?? this.#host.by ?? null
    const definition = await this.#refused.asked(sync, by, () => this.#definitionOf(sync, following.cancel))
    const command = runCommand(await this.#open(), sync, { ...more, by })
    return await this.#follow({ command, runId: command.id, definition, publishes: true }, following)
  }

  /**
   * Returns the scope of a retry or a discard: a group that the person names, or the rows that wait now. Rows
   * that fail for the first time before the run begins are not in it.
   */
  async #failedScope(
    sync: string,
    { key, status, group }: Omit<InputOf<'discard'>, 'name'>,
    signal: AbortSignal,
  ): Promise<RunScope> {
    if (group !== undefined && status !== undefined)
      throw new SluiceError(
        'usage',
        'The rows of a group have one status: leave out either the group or the status.',
      )
    const scopeOf = (id: string): RunScope => ({ as: null, key: key ?? null, status: OF_GROUP, group: id })
    if (group !== undefined) return scopeOf(group)
    const query = { sync, run: undefined, key, status, limit: 1, after: undefined }
    const page = await (await this.#opened(signal)).failed(query, signal)
    return scopeOf(page.group ?? listId([], null))
  }

  /**
   * Resets a deleted sync, which removes its topics and its incarnation. Resolves with false if no detector
   * has done so in time. The deletion mark then makes a detector do it later.
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
    // Once the sync is gone, no detector answers. So its reset must not be awaited and shown for ever.
    const done = this.#follow(asked, silent, late.signal)
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
  async #follow(
    { after, command, publishes, runId, definition, beyond }: AskedRun,
    following: Following,
    late = new AbortController().signal,
  ): Promise<FollowedRun> {
    const pipeline = await this.#open()
    const { sync, by = null } = command
    const { signal } = new AbortController()
    await this.#publication.before({ publishes, definition }, signal)
    // A detector takes only the commands of syncs that it was started for.
    return await this.#withServices(new Set([sync]), async failed => {
      using untaken = isNew(command) ? this.#untaken.remember(command) : null
      await sendCommands(pipeline, after === undefined ? [command] : [after, command], signal)
      const followedUntil = AbortSignal.any([failed, late])
      const waits = this.#waitsOf(pipeline)
      const find = (id: string): SeenRun | undefined => {
        const runs = pipeline.runs.of(sync) ?? NO_RUNS
        const event = runs.events.get(id) ?? (id === untaken?.event.runId ? untaken.event : undefined)
        return event === undefined ? undefined : { event, runs }
      }
      const viewOf = async ({ event, runs }: SeenRun): Promise<RunView | null> => {
        if (event === beyond) return null
        const waiting = await waits.of(event, runs, followedUntil)
        // Usually a detector takes the run up at once. Then its first event is the first state.
        if (event === untaken?.event && waiting.length === 0) return null
        return runView(event, definition, runs.reports, {
          ...{ elsewhere: waiting, events: runs.events.values() },
        })
      }
      const cancelRun = (id: string): void => {
        const cancel = commandAbout({ sync, runId: id }, 'cancel', by)
        sendCommands(pipeline, [cancel], followedUntil).catch((err: unknown) =>
          pipeline.logger.warn({ err, run: id }, 'could not send the command that cancels the run'),
        )
      }
      const states = followRun(pipeline, { runId, waits, find, viewOf }, followedUntil)
      const followed = await followToRest(states, { runId, cancelRun, following })
      if (followed === null) throw new SluiceError('internal', `run ${runId} ended without a state`)
      return { view: await placedRun(followed.view, this.#catalog, signal) }
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

/** A process without the key of the vault still knows what runs report. */
function withoutKey(error: unknown): null {
  if (isSluiceError(error, 'config')) return null
  throw error
}

/** No answer has this status. A detector of an earlier version, which knows no groups, finds no row by it. */
const OF_GROUP = 0

/** A wrong project hides no secret of the vault. */
function withoutProject(error: unknown): null {
  if (isSluiceError(error, 'config')) return null
  throw error
}

type ReplayInput = Omit<InputOf<'replay'>, 'name' | 'dryRun'>

function replayScope({ keys, run, since, until, status, outcome, trigger }: ReplayInput): ReplayScope {
  const times = timesOf({ since, until })
  return {
    ...{ keys: keys ?? null, run: run?.toUpperCase() ?? null },
    ...{ since: times.since ?? null, until: times.until ?? null },
    ...{ status: status ?? null, outcome: outcome ?? null, trigger: trigger ?? null },
  }
}

/** The times of a query in milliseconds since 1970. */
function timesOf({
  since,
  until,
}: {
  readonly since?: string | undefined
  readonly until?: string | undefined
}): { readonly since: number | undefined; readonly until: number | undefined } {
  const read = (time: string | undefined): number | undefined =>
    time === undefined ? undefined : Date.parse(time)
  return { since: read(since), until: read(until) }
}

/**
 * Makes a change. Repeats it if another process made a change at the same time, so that the last one counts.
 */
async function lastCounts<T>(change: () => Promise<T>): Promise<T> {
  for (let changes = 1; ; changes += 1) {
    try {
      return await change()
    } catch (error) {
      if (!isSluiceError(error, 'fenced') || changes >= MAX_CHANGES) throw error
    }
  }
}

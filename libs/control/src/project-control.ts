/** Control of a project's syncs. */
import { basename } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { AttemptsPage, FailedPage, RunsPage, RunView } from '@sluice/contracts/api'
import type { Command, ResourceRecord, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { namesOf, type Project } from '@sluice/project/project'
import { resolveDefinition } from '@sluice/project/resolve-definition'
import { assertKeyFits, writeResources } from '@sluice/resources/stored-documents'
import { assertStatus, findRun } from './find-run.ts'
import { commandAbout, followRun, runCommand, sendCommand } from './follow-run.ts'
import { EmptyHistory } from './empty-history.ts'
import { LogHistory } from './log-history.ts'
import type { Pipeline } from './pipeline.ts'
import type {
  AttemptsQuery,
  Control,
  FailedQuery,
  FollowedRun,
  Following,
  Paging,
  RunHistory,
  RunRequest,
} from './port.ts'
import { unknownRun } from './unknown-names.ts'

interface Asked {
  readonly command: Command
  /** The run that is followed. */
  readonly runId: string
  /** Says which triggers the figures of the run have; null if it is not known. */
  readonly definition: Definition | null
  /** False if the command needs nothing of the project. */
  readonly publishes: boolean
  /** A state of the run that is known already, so that the caller does not wait for it. */
  readonly beyond?: RunEvent
}

/** Where a project runs: in its folder, or on Kafka. */
export interface Place {
  /** False if nothing ever ran. Then there is nothing to see, and looking at history makes no files. */
  readonly hasHistory: boolean
  /**
   * Rejects with `unreachable` if a service does not answer, and with `conflict` if another process has the
   * folder open.
   */
  readonly open: () => Promise<Pipeline>
  /**
   * Rejects with `config` if the services that run here lack a secret of the definition. It opens the
   * pipeline only for secrets that are in the vault.
   */
  readonly assertSecrets: (definition: Definition, open: () => Promise<Pipeline>) => Promise<void>
}

/**
 * Control of the syncs of one project, through the topics of its pipeline. It opens them when it needs them.
 */
export class ProjectControl implements Control {
  readonly #project: Project
  readonly #place: Place
  #pipeline: Promise<Pipeline> | null = null
  #history: Promise<RunHistory> | null = null

  constructor(project: Project, place: Place) {
    this.#project = project
    this.#place = place
  }

  async askForRun({ sync, ...more }: RunRequest, following: Following): Promise<FollowedRun> {
    return await this.#askForNew(sync, more, following)
  }

  async reset(sync: string, following: Following): Promise<FollowedRun> {
    return await this.#askForNew(sync, { kind: 'reset', cause: 'reset' }, following)
  }

  async approve(id: string, following: Following): Promise<FollowedRun> {
    const pipeline = await this.#pipelineOf(id)
    const held = await findRun(pipeline, id, following.cancel)
    assertStatus(held, ['held'], 'approve')
    const definition = await this.#definitionOf(held.sync)
    if (held.held === null) throw new SluiceError('internal', `run ${id} does not say why it is held`)
    const { runId } = held
    const command = commandAbout(held, 'approve')
    return await this.#ask({ command, runId, definition, publishes: true, beyond: held }, following)
  }

  async cancel(id: string, following: Following): Promise<FollowedRun> {
    const { cancel: signal } = following
    const pipeline = await this.#pipelineOf(id)
    const run = await findRun(pipeline, id, signal)
    assertStatus(run, ['queued', 'running', 'held'], 'cancel')
    const { definition: hash, runId, status } = run
    const definition = hash === null ? null : await pipeline.definitions.get(hash, { signal })
    const asked = { command: commandAbout(run, 'cancel'), runId, definition, publishes: false }
    return await this.#ask(status === 'held' ? { ...asked, beyond: run } : asked, following)
  }

  async runs(query: Paging & { readonly sync: string | undefined }, signal: AbortSignal): Promise<RunsPage> {
    return await (await this.#opened(signal)).runs(query, signal)
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    return await (await this.#opened(signal)).run(id, signal)
  }

  async attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    return await (await this.#opened(signal)).attempts(query, signal)
  }

  async failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    return await (await this.#opened(signal)).failed(query, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#pipeline?.catch(() => null))?.[Symbol.asyncDispose]()
  }

  #open(): Promise<Pipeline> {
    this.#pipeline ??= this.#place.open()
    return this.#pipeline
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
    const syncs = new Set(namesOf(this.#project, 'sync'))
    if (!this.#place.hasHistory) return new EmptyHistory(syncs)
    return await LogHistory.open(await this.#open(), syncs, signal)
  }

  async #definitionOf(sync: string): Promise<Definition> {
    const definition = resolveDefinition(this.#project, sync)
    await this.#place.assertSecrets(definition, () => this.#open())
    return definition
  }

  /** Reports mistakes in the project before it opens anything. */
  async #askForNew(
    sync: string,
    more: Parameters<typeof runCommand>[2],
    following: Following,
  ): Promise<FollowedRun> {
    const definition = await this.#definitionOf(sync)
    const command = runCommand(await this.#open(), sync, more)
    return await this.#ask({ command, runId: command.id, definition, publishes: true }, following)
  }

  /** Sends the command, starts the services if they run in this process, and follows the run. */
  async #ask({ command, publishes, ...of }: Asked, { onProgress, cancel }: Following): Promise<FollowedRun> {
    const pipeline = await this.#open()
    const { sync } = command
    const { signal } = new AbortController()
    const done = new AbortController()
    const failed = new AbortController()
    await assertKeyFits(pipeline, { signal })
    if (publishes) await writeResources(pipeline, recordsOf(this.#project), { signal })
    await sendCommand(pipeline, command, signal)
    const services = pipeline
      .start(new Set([sync]), { drain: done.signal, abort: signal })
      .catch((error: unknown) => failed.abort(error))
    try {
      return await followRun(pipeline, { sync, ...of }, { onProgress, cancel, signal: failed.signal })
    } finally {
      done.abort()
      await services
    }
  }
}

function recordsOf(project: Project): ResourceRecord[] {
  return [...project.resources.values()].map(spec => ({
    kind: spec.kind,
    name: spec.name,
    project: basename(project.dir),
    spec: JSON.stringify(spec),
  }))
}

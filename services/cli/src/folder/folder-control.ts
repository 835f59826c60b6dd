/**
 * Control of a project in its folder. One process at a time works in a folder. The first command that asks
 * for something takes the folder's lock, and lets others ask through a socket. The others find the lock
 * taken, and ask there. Reading needs neither: many may read together where nobody works.
 */
import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { socketPathOf } from '@sluice/console/socket/socket-path'
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
import { isSluiceError } from '@sluice/contracts/errors'
import type { SourceSpec } from '@sluice/contracts/resources'
import type * as port from '@sluice/control/port'
import { ProjectControl } from '@sluice/control/project-control'
import { viewOf } from '@sluice/control/resources/written-resource'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import type { FolderOptions } from './folder-options.ts'
import type { Held } from './hold-folder.ts'

/** How long a command waits for one that is just beginning, ending or reading. */
const PATIENCE_MS = 10_000
const LOOK_AGAIN_MS = 50
/** A page. Of more resources none is compared. */
const MOST_RESOURCES = 1_000
const SHOWN_EDITS = 3

/**
 * What is asked: about a sync, which the project has to have; about what was before, which makes no files
 * where nothing was; or about the folder, which is made.
 */
type About = { readonly sync: string } | 'past' | 'folder'

export class FolderControl implements port.Control {
  readonly #options: FolderOptions
  #held: Held | null = null
  /** Callers at the same time take the folder's lock once. */
  #holding: Promise<Held> | null = null
  #reading: port.Control | null = null

  constructor(options: FolderOptions) {
    this.#options = options
  }

  async askForRun(request: port.RunRequest, following: port.Following): Promise<port.FollowedRun> {
    const { sync } = request
    const ask = async (control: port.Control): Promise<port.FollowedRun> => {
      await this.#tellOfEdits(control, following.cancel)
      return await control.askForRun(request, following)
    }
    return await this.#ask(ask, { sync })
  }

  async reset(sync: string, following: port.Following): Promise<port.FollowedRun> {
    return await this.#ask(control => control.reset(sync, following), { sync })
  }

  async approve(approval: port.Approval, following: port.Following): Promise<port.FollowedRun> {
    return await this.#ask(control => control.approve(approval, following), 'past')
  }

  async cancel(run: string, following: port.Following): Promise<port.FollowedRun> {
    return await this.#ask(control => control.cancel(run, following), 'past')
  }

  async runs(query: port.RunsQuery, signal: AbortSignal): Promise<RunsPage> {
    return await this.#look(control => control.runs(query, signal))
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    return await this.#look(control => control.run(id, signal))
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    yield* await this.#look(control => Promise.resolve(control.follow(id, signal)))
  }

  async attempts(query: port.AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    return await this.#look(control => control.attempts(query, signal))
  }

  async request(id: string, signal: AbortSignal): Promise<RequestView> {
    return await this.#look(control => control.request(id, signal))
  }

  async row(of: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife> {
    return await this.#look(control => control.row(of, signal))
  }

  async figures(run: string, most: number, signal: AbortSignal): Promise<RunFigures> {
    return await this.#look(control => control.figures(run, most, signal))
  }

  async failed(query: port.FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    return await this.#look(control => control.failed(query, signal))
  }

  async replayable(query: port.ReplayQuery, signal: AbortSignal): Promise<ReplayView> {
    return await this.#look(control => control.replayable(query, signal))
  }

  async preview(query: port.PreviewQuery, signal: AbortSignal): Promise<port.Preview> {
    return await this.#look(async control => {
      await this.#tellOfEdits(control, signal)
      return await control.preview(query, signal)
    })
  }

  async sendTest(query: port.TestQuery, signal: AbortSignal): Promise<AttemptView> {
    const { sync } = query
    const ask = async (control: port.Control): Promise<AttemptView> => {
      await this.#tellOfEdits(control, signal)
      return await control.sendTest(query, signal)
    }
    return await this.#ask(ask, { sync })
  }

  async syncs(query: port.SyncsQuery, signal: AbortSignal): Promise<SyncsPage> {
    return await this.#look(control => control.syncs(query, signal))
  }

  async sync(name: string, query: port.RecentRuns, signal: AbortSignal): Promise<SyncView> {
    return await this.#look(control => control.sync(name, query, signal))
  }

  async alerts(signal: AbortSignal): Promise<AlertsView> {
    return await this.#look(control => control.alerts(signal))
  }

  async testAlert(name: string, signal: AbortSignal): Promise<AlertTestedView> {
    return await this.#ask(control => control.testAlert(name, signal), 'past')
  }

  async audit(query: port.AuditQuery, signal: AbortSignal): Promise<AuditPage> {
    return await this.#look(control => control.audit(query, signal))
  }

  async health(signal: AbortSignal): Promise<HealthView> {
    return await this.#look(control => control.health(signal))
  }

  async destinations(paging: port.Paging, signal: AbortSignal): Promise<DestinationsPage> {
    return await this.#look(control => control.destinations(paging, signal))
  }

  /** The files are here, so nobody is asked. */
  async resources(paging: port.Paging, signal: AbortSignal): Promise<ResourcesPage> {
    return await this.#reader().resources(paging, signal)
  }

  async secrets(signal: AbortSignal): Promise<SecretsView> {
    return await this.#ask(control => control.secrets(signal), 'past')
  }

  async setSecret(secret: port.SecretToSet, signal: AbortSignal): Promise<SecretSetView> {
    return await this.#ask(control => control.setSecret(secret, signal), 'folder')
  }

  async removeSecret(secret: port.SecretNamed, signal: AbortSignal): Promise<SecretRemovedView> {
    return await this.#ask(control => control.removeSecret(secret, signal), 'past')
  }

  async resealSecrets(signal: AbortSignal): Promise<SecretsResealedView> {
    return await this.#ask(control => control.resealSecrets(signal), 'past')
  }

  /** What is stored, by whoever works in the folder. */
  readonly keeping: port.ResourceKeeping = {
    resource: (...of) => this.#look(({ keeping }) => keeping.resource(...of)),
    resourceHistory: (...of) => this.#look(({ keeping }) => keeping.resourceHistory(...of)),
    diff: (...of) => this.#look(({ keeping }) => keeping.diff(...of)),
    checkDocuments: (...of) => this.#look(({ keeping }) => keeping.checkDocuments(...of)),
    previewDocuments: (...of) => this.#look(({ keeping }) => keeping.previewDocuments(...of)),
    rows: (...of) => this.#look(({ keeping }) => keeping.rows(...of)),
    putResource: (...of) => this.#ask(({ keeping }) => keeping.putResource(...of), 'folder'),
    deleteResource: (...of) => this.#ask(({ keeping }) => keeping.deleteResource(...of), 'past'),
    rollbackResource: (...of) => this.#ask(({ keeping }) => keeping.rollbackResource(...of), 'past'),
    apply: (...of) => this.#ask(({ keeping }) => keeping.apply(...of), 'folder'),
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeReading()
    await this.#held?.[Symbol.asyncDispose]()
  }

  /** Tries again while the process that has the lock begins or ends, since nothing was asked of it then. */
  async #ask<T>(ask: (control: port.Control) => Promise<T>, about: About): Promise<T> {
    await this.#closeReading()
    return await this.#patiently(async () => ask(await this.#holderOrSelf(about)))
  }

  async #look<T>(look: (control: port.Control) => Promise<T>): Promise<T> {
    return await this.#patiently(async () => {
      if (this.#held !== null) return await look(this.#held.control)
      const socket = this.#socket()
      if (socket !== null) {
        try {
          return await look(await this.#options.askHolder(socket))
        } catch (error) {
          // Nobody listens there any more: a process that was killed has left it.
          if (!isSluiceError(error, 'unreachable') || !error.retryable) throw error
        }
      }
      this.#reading ??= this.#reader()
      try {
        return await look(this.#reading)
      } catch (error) {
        await this.#closeReading()
        throw error
      }
    })
  }

  /** `sluice up` goes by what is stored, so that an edit of the files alone changes nothing there. */
  async #tellOfEdits(control: port.Control, signal: AbortSignal): Promise<void> {
    if (control === this.#held?.control || control === this.#reading) return
    const { catalog, tell } = this.#options
    const { resources } = await control.resources({ limit: MOST_RESOURCES, after: undefined }, signal)
    const stored = new Map(resources.map(({ kind, name, spec }) => [`${kind} ${name}`, spec]))
    const edited = (await catalog.resources(signal))
      .map(viewOf)
      .filter(({ kind, name, spec }) => !isDeepStrictEqual(spec, stored.get(`${kind} ${name}`)))
      .map(({ kind, name }) => `${kind} ${name}`)
    if (edited.length === 0 || resources.length === MOST_RESOURCES) return
    const some = edited.slice(0, SHOWN_EDITS).join(', ')
    const more = edited.length > SHOWN_EDITS ? ` and ${edited.length - SHOWN_EDITS} more` : ''
    tell(
      `\`sluice up\` uses the resources that it has stored, and the files of the folder differ (${some}${more}): \`sluice diff\` shows how, \`sluice apply\` stores them`,
    )
  }

  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    const { patienceMs = PATIENCE_MS, signal } = this.#options
    const startedAt = elapsedMs()
    let refused: unknown = null
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        const mayPass = isSluiceError(error, 'conflict') || isSluiceError(error, 'unreachable')
        if (!mayPass || !error.retryable) throw error
        // It names the process that has the lock.
        if (error.code === 'conflict') refused = error
        if (elapsedMs() - startedAt > patienceMs) throw refused ?? error
      }
      await sleep(LOOK_AGAIN_MS, { signal })
    }
  }

  async #holderOrSelf(about: About): Promise<port.Control> {
    if (this.#held !== null) return this.#held.control
    const { catalog, placeOf, hasHistory, askHolder } = this.#options
    // Mistakes in the project are told before anything is opened.
    let expected: SourceSpec | null = null
    if (typeof about === 'object') {
      const { signal } = new AbortController()
      const definition = await catalog.definition(about.sync, signal)
      await placeOf({ isAtWork: true }).assertSecrets(definition, null)
      expected = definition.source
    } else if (about === 'past' && !hasHistory()) return this.#reader()
    try {
      this.#holding ??= this.#hold(expected).finally(() => (this.#holding = null))
      this.#held = await this.#holding
      return this.#held.control
    } catch (error) {
      const socket = this.#socket()
      const asksOthers = this.#options.firstRun === undefined
      if (!isSluiceError(error, 'conflict') || socket === null || !asksOthers) throw error
      return await askHolder(socket)
    }
  }

  async #hold(expected: SourceSpec | null): Promise<Held> {
    const { holdFolder } = await import('./hold-folder.ts')
    return await holdFolder(this.#options, expected)
  }

  #socket(): string | null {
    const path = socketPathOf(this.#options.dataDir)
    return path !== null && existsSync(path) ? path : null
  }

  #reader(): port.Control {
    const { catalog, placeOf, hasHistory, openToRead } = this.#options
    return new ProjectControl(catalog, {
      ...placeOf({ isAtWork: false }),
      ...{ hasHistory: hasHistory(), runsSchedules: false },
      open: openToRead,
    })
  }

  async #closeReading(): Promise<void> {
    const reading = this.#reading
    this.#reading = null
    await reading?.[Symbol.asyncDispose]()
  }
}

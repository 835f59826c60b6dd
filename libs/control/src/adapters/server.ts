/**
 * Control of the syncs of a server, by its API. The server may be far away, or the process that has a folder
 * open, which listens on a socket in that folder.
 */
import type { ReplayScope } from '@sluice/contracts/state'
import {
  attemptsPage,
  attemptView,
  failedPage,
  previewView,
  replayView,
  resourcesPage,
  requestView,
  runsPage,
  runView,
  secretRemovedView,
  secretSetView,
  secretsResealedView,
  secretsView,
  syncsPage,
  syncView,
  type AttemptsPage,
  type AttemptView,
  type FailedPage,
  type ReplayView,
  type RequestView,
  type ResourcesPage,
  type RunsPage,
  type RunView,
  type SecretRemovedView,
  type SecretSetView,
  type SecretsResealedView,
  type SecretsView,
  type SyncsPage,
  type SyncView,
} from '@sluice/contracts/api'
import {
  auditPage,
  destinationsPage,
  healthView,
  type AuditPage,
  type DestinationsPage,
  type HealthView,
} from '@sluice/contracts/api/operating'
import {
  rowLifeView,
  runFiguresView,
  type RowLife,
  type RunFigures,
} from '@sluice/contracts/views/history-views'
import {
  alertsView,
  alertTestedView,
  type AlertsView,
  type AlertTestedView,
} from '@sluice/contracts/specs/alert-views'
import { MOST_PREVIEWED } from '@sluice/contracts/api-requests'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import { sleep } from '@sluice/flow/sleep'
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
  ResourceKeeping,
  RunRequest,
  RunsQuery,
  SecretNamed,
  SecretToSet,
  SyncsQuery,
  TestQuery,
} from '../port.ts'
import type { ServerAddress } from '../server-address.ts'
import { previewIn } from './server/previewed.ts'
import { readEvents } from './server/read-events.ts'
import { serverKeeping } from './server/server-keeping.ts'
import { ServerClient } from './server/server-client.ts'

/** How often a stream that was cut off is taken up again without a new state in between. */
const MOST_RESUMED = 5
const RESUME_AFTER_MS = 500

/**
 * Connects to nothing before a method asks something. Errors of the server keep their code and details. It is
 * `unreachable` if the server does not answer, or goes away before the run has ended.
 */
export function createServerControl(address: ServerAddress): Control {
  return new ServerControl(new ServerClient(address))
}

class ServerControl implements Control {
  readonly #client: ServerClient
  readonly keeping: ResourceKeeping

  constructor(client: ServerClient) {
    this.#client = client
    this.keeping = serverKeeping(client)
  }

  async askForRun(request: RunRequest, following: Following): Promise<FollowedRun> {
    const { sync, cause = 'manual', scope = null, queues } = request
    const { key, status, as } = scope ?? { key: null, status: null, as: null }
    const rows = { ...(key === null ? {} : { key }), ...(status === null ? {} : { status }) }
    switch (cause) {
      case 'retry':
      case 'discard':
        return await this.#ask(['syncs', sync, cause], rows, following)
      case 'resync':
        return await this.#ask(['syncs', sync, 'resync'], as === null ? {} : { as }, following)
      case 'replay':
        return await this.#ask(['syncs', sync, 'replay'], replayFields(scope?.replay ?? null), following)
      case 'manual':
        return await this.#ask(['syncs', sync, 'runs'], queues === undefined ? {} : { queues }, following)
      default:
        throw new SluiceError('internal', `a server cannot be asked for a run with the cause ${cause}`)
    }
  }

  async reset(sync: string, following: Following): Promise<FollowedRun> {
    return await this.#ask(['syncs', sync, 'reset'], {}, following)
  }

  async approve({ run, destination }: Approval, following: Following): Promise<FollowedRun> {
    const body = destination === undefined ? {} : { destination }
    return await this.#ask(['runs', run, 'approve'], body, following)
  }

  async cancel(run: string, following: Following): Promise<FollowedRun> {
    return await this.#ask(['runs', run, 'cancel'], {}, following)
  }

  async runs(query: RunsQuery, signal: AbortSignal): Promise<RunsPage> {
    const { since, until, ...same } = query
    const asked = { ...same, since: isoTime(since), until: isoTime(until) }
    return await this.#client.get(['runs'], asked, { signal, answer: runsPage })
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    return await this.#client.get(['runs', id], {}, { signal, answer: runView })
  }

  /**
   * A stream that is cut off is taken up again. It begins with the state as it is then, so nothing is missed.
   */
  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    let last = ''
    for (let resumed = 0; ; resumed += 1) {
      try {
        for await (const data of readEvents(await this.#client.stream(['runs', id, 'events'], { signal }))) {
          if (data !== last) resumed = 0
          const view = this.#client.parsed(runView, data)
          if (data !== last) yield view
          last = data
          if (isEnded(view.status)) return
        }
      } catch (error) {
        if (!isSluiceError(error, 'unreachable')) throw error
        // It was asked already, so nobody may ask another one instead.
        if (resumed >= MOST_RESUMED) throw this.#client.gone(error)
      }
      if (resumed >= MOST_RESUMED) throw this.#client.gone()
      await sleep(RESUME_AFTER_MS, { signal })
    }
  }

  async attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    const { since, until, search, searchesBodies, details, ...same } = query
    const asked = {
      ...same,
      since: isoTime(since),
      until: isoTime(until),
      q: search,
      bodies: searchesBodies === true ? 'true' : undefined,
      details: details === false ? 'false' : undefined,
    }
    return await this.#client.get(['attempts'], asked, { signal, answer: attemptsPage })
  }

  async request(id: string, signal: AbortSignal): Promise<RequestView> {
    return await this.#client.get(['attempts', id], {}, { signal, answer: requestView })
  }

  async row(of: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife> {
    const asked = { signal, answer: rowLifeView }
    return await this.#client.get(['syncs', of.sync, 'rows'], { key: of.key }, asked)
  }

  async figures(run: string, most: number, signal: AbortSignal): Promise<RunFigures> {
    const of = { signal, answer: runFiguresView }
    return await this.#client.get(['runs', run, 'figures'], { buckets: most }, of)
  }

  async failed({ sync, ...query }: FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    return await this.#client.get(['syncs', sync, 'failed'], { ...query }, { signal, answer: failedPage })
  }

  async replayable({ sync, scope }: ReplayQuery, signal: AbortSignal): Promise<ReplayView> {
    const body = { ...replayFields(scope), dryRun: true }
    return await this.#client.post(['syncs', sync, 'replay'], body, { signal, answer: replayView })
  }

  async preview({ op, ...query }: PreviewQuery, signal: AbortSignal): Promise<Preview> {
    const asked = { ...query, trigger: op, limit: MOST_PREVIEWED }
    const view = await this.#client.get(['preview'], asked, { signal, answer: previewView })
    return previewIn(view)
  }

  async sendTest({ sync, op: trigger, key }: TestQuery, signal: AbortSignal): Promise<AttemptView> {
    const body = { key, trigger }
    return await this.#client.post(['syncs', sync, 'test'], body, { signal, answer: attemptView })
  }

  async syncs(query: SyncsQuery, signal: AbortSignal): Promise<SyncsPage> {
    return await this.#client.get(['syncs'], { ...query }, { signal, answer: syncsPage })
  }

  async sync(name: string, query: RecentRuns, signal: AbortSignal): Promise<SyncView> {
    return await this.#client.get(['syncs', name], { ...query }, { signal, answer: syncView })
  }

  async alerts(signal: AbortSignal): Promise<AlertsView> {
    return await this.#client.get(['alerts'], {}, { signal, answer: alertsView })
  }

  async testAlert(name: string, signal: AbortSignal): Promise<AlertTestedView> {
    return await this.#client.post(['alerts', name, 'test'], {}, { signal, answer: alertTestedView })
  }

  async audit(query: AuditQuery, signal: AbortSignal): Promise<AuditPage> {
    return await this.#client.get(['audit'], { ...query }, { signal, answer: auditPage })
  }

  async health(signal: AbortSignal): Promise<HealthView> {
    return await this.#client.get(['health'], {}, { signal, answer: healthView })
  }

  async destinations(paging: Paging, signal: AbortSignal): Promise<DestinationsPage> {
    return await this.#client.get(['destinations'], { ...paging }, { signal, answer: destinationsPage })
  }

  async resources(paging: Paging, signal: AbortSignal): Promise<ResourcesPage> {
    return await this.#client.get(['resources'], { ...paging }, { signal, answer: resourcesPage })
  }

  async secrets(signal: AbortSignal): Promise<SecretsView> {
    return await this.#client.get(['secrets'], {}, { signal, answer: secretsView })
  }

  async setSecret({ name, value, grants }: SecretToSet, signal: AbortSignal): Promise<SecretSetView> {
    const body = { value, ...(grants === undefined ? {} : { for: grants }) }
    return await this.#client.put(['secrets', name], body, { signal, answer: secretSetView })
  }

  async removeSecret({ kind, name }: SecretNamed, signal: AbortSignal): Promise<SecretRemovedView> {
    return await this.#client.delete(['secrets', name], { kind }, { signal, answer: secretRemovedView })
  }

  async resealSecrets(signal: AbortSignal): Promise<SecretsResealedView> {
    return await this.#client.post(['vault', 'reseal'], {}, { signal, answer: secretsResealedView })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  async #ask(path: readonly string[], body: object, { onProgress, cancel }: Following): Promise<FollowedRun> {
    // The caller learns what became of its question even if it interrupts meanwhile.
    const { signal } = new AbortController()
    const first = await this.#client.post(path, body, { signal, answer: runView })
    if (isEnded(first.status) || first.status === 'held') return { view: first }
    onProgress(first)
    // Another run may stand in for the one that was asked for.
    let { id } = first
    const cancelRun = (): void => void this.#cancelQuietly(id, signal)
    cancel.addEventListener('abort', cancelRun, { once: true })
    if (cancel.aborted) cancelRun()
    try {
      for await (const view of this.follow(first.id, signal)) {
        if (isEnded(view.status) || view.status === 'held') return { view }
        id = view.id
        onProgress(view)
      }
    } finally {
      cancel.removeEventListener('abort', cancelRun)
    }
    throw this.#client.gone()
  }

  /** A run that has ended meanwhile needs no end, and one whose server is gone is told by following it. */
  async #cancelQuietly(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.post(['runs', id, 'cancel'], {}, { signal, answer: runView })
    } catch (error) {
      if (!isSluiceError(error)) throw error
    }
  }
}

/** As the API takes them: without what is not limited. */
function replayFields(scope: ReplayScope | null): object {
  const { since = null, until = null, ...others } = scope ?? {}
  const times = { since: isoTime(since ?? undefined), until: isoTime(until ?? undefined) }
  const fields = Object.entries({ ...others, ...times })
  return Object.fromEntries(fields.filter(([, value]) => value !== null && value !== undefined))
}

function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

/** Control for somebody with some roles. */
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
} from './port.ts'
import { keepingFor } from './resources/keeping-for.ts'
import { assertMay, attemptShownTo, ROLE_OF, roleOfRun, shownTo, type Role } from './roles.ts'

/**
 * Asks another control for what the roles allow, and shows what they may see. Each method throws `forbidden`
 * for anything else, before it asks.
 */
export class ControlFor implements Control {
  readonly #roles: ReadonlySet<Role>
  readonly #control: Control
  readonly #by: string | undefined
  readonly keeping: ResourceKeeping

  /** `by` is who asks, for the record of what they ask. */
  constructor(roles: ReadonlySet<Role>, control: Control, by?: string) {
    this.#roles = roles
    this.#control = control
    this.#by = by
    this.keeping = keepingFor(roles, control.keeping)
  }

  async askForRun(request: RunRequest, following: Following): Promise<FollowedRun> {
    assertMay(this.#roles, roleOfRun(request))
    return this.#shown(await this.#control.askForRun(request, this.#followed(following)))
  }

  async reset(sync: string, following: Following): Promise<FollowedRun> {
    assertMay(this.#roles, ROLE_OF.reset)
    return this.#shown(await this.#control.reset(sync, this.#followed(following)))
  }

  async approve(approval: Approval, following: Following): Promise<FollowedRun> {
    assertMay(this.#roles, ROLE_OF.approve)
    if (approval.destination === 'new') assertMay(this.#roles, ROLE_OF.reset)
    return this.#shown(await this.#control.approve(approval, this.#followed(following)))
  }

  async cancel(run: string, following: Following): Promise<FollowedRun> {
    assertMay(this.#roles, ROLE_OF.cancel)
    return this.#shown(await this.#control.cancel(run, this.#followed(following)))
  }

  async runs(query: RunsQuery, signal: AbortSignal): Promise<RunsPage> {
    assertMay(this.#roles, ROLE_OF.runs)
    const page = await this.#control.runs(query, signal)
    return { ...page, runs: page.runs.map(view => shownTo(this.#roles, view)) }
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    assertMay(this.#roles, ROLE_OF.run)
    return shownTo(this.#roles, await this.#control.run(id, signal))
  }

  async *follow(id: string, signal: AbortSignal): AsyncGenerator<RunView> {
    assertMay(this.#roles, ROLE_OF.follow)
    for await (const view of this.#control.follow(id, signal)) yield shownTo(this.#roles, view)
  }

  async attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage> {
    assertMay(this.#roles, ROLE_OF.attempts)
    return await this.#control.attempts(query, signal)
  }

  async request(id: string, signal: AbortSignal): Promise<RequestView> {
    assertMay(this.#roles, ROLE_OF.request)
    return await this.#control.request(id, signal)
  }

  async row(of: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife> {
    assertMay(this.#roles, ROLE_OF.row)
    return await this.#control.row(of, signal)
  }

  async figures(run: string, most: number, signal: AbortSignal): Promise<RunFigures> {
    assertMay(this.#roles, ROLE_OF.figures)
    return await this.#control.figures(run, most, signal)
  }

  async failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage> {
    assertMay(this.#roles, ROLE_OF.failed)
    return await this.#control.failed(query, signal)
  }

  async replayable(query: ReplayQuery, signal: AbortSignal): Promise<ReplayView> {
    assertMay(this.#roles, ROLE_OF.replayable)
    return await this.#control.replayable(query, signal)
  }

  async preview(query: PreviewQuery, signal: AbortSignal): Promise<Preview> {
    assertMay(this.#roles, ROLE_OF.preview)
    return await this.#control.preview(query, signal)
  }

  async sendTest(query: TestQuery, signal: AbortSignal): Promise<AttemptView> {
    assertMay(this.#roles, ROLE_OF.sendTest)
    return attemptShownTo(this.#roles, await this.#control.sendTest(query, signal))
  }

  async syncs(query: SyncsQuery, signal: AbortSignal): Promise<SyncsPage> {
    assertMay(this.#roles, ROLE_OF.syncs)
    const page = await this.#control.syncs(query, signal)
    return { ...page, syncs: page.syncs.map(sync => this.#shownSync(sync)) }
  }

  async sync(name: string, query: RecentRuns, signal: AbortSignal): Promise<SyncView> {
    assertMay(this.#roles, ROLE_OF.sync)
    return this.#shownSync(await this.#control.sync(name, query, signal))
  }

  async alerts(signal: AbortSignal): Promise<AlertsView> {
    assertMay(this.#roles, ROLE_OF.alerts)
    return await this.#control.alerts(signal)
  }

  async testAlert(name: string, signal: AbortSignal): Promise<AlertTestedView> {
    assertMay(this.#roles, ROLE_OF.testAlert)
    return await this.#control.testAlert(name, signal)
  }

  async audit(query: AuditQuery, signal: AbortSignal): Promise<AuditPage> {
    assertMay(this.#roles, ROLE_OF.audit)
    return await this.#control.audit(query, signal)
  }

  async health(signal: AbortSignal): Promise<HealthView> {
    assertMay(this.#roles, ROLE_OF.health)
    return await this.#control.health(signal)
  }

  async destinations(paging: Paging, signal: AbortSignal): Promise<DestinationsPage> {
    assertMay(this.#roles, ROLE_OF.destinations)
    return await this.#control.destinations(paging, signal)
  }

  async resources(paging: Paging, signal: AbortSignal): Promise<ResourcesPage> {
    assertMay(this.#roles, ROLE_OF.resources)
    return await this.#control.resources(paging, signal)
  }

  async secrets(signal: AbortSignal): Promise<SecretsView> {
    assertMay(this.#roles, ROLE_OF.secrets)
    return await this.#control.secrets(signal)
  }

  async setSecret(secret: SecretToSet, signal: AbortSignal): Promise<SecretSetView> {
    assertMay(this.#roles, ROLE_OF.setSecret)
    const by = this.#by === undefined ? {} : { by: this.#by }
    return await this.#control.setSecret({ ...secret, ...by }, signal)
  }

  async removeSecret(secret: SecretNamed, signal: AbortSignal): Promise<SecretRemovedView> {
    assertMay(this.#roles, ROLE_OF.removeSecret)
    const by = this.#by === undefined ? {} : { by: this.#by }
    return await this.#control.removeSecret({ ...secret, ...by }, signal)
  }

  async resealSecrets(signal: AbortSignal): Promise<SecretsResealedView> {
    assertMay(this.#roles, ROLE_OF.resealSecrets)
    return await this.#control.resealSecrets(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#control[Symbol.asyncDispose]()
  }

  #followed({ onProgress, cancel }: Following): Following {
    const by = this.#by === undefined ? {} : { by: this.#by }
    return { cancel, ...by, onProgress: view => onProgress(shownTo(this.#roles, view)) }
  }

  #shownSync(sync: SyncView): SyncView {
    return { ...sync, lastRun: sync.lastRun === null ? null : shownTo(this.#roles, sync.lastRun) }
  }

  #shown({ view }: FollowedRun): FollowedRun {
    return { view: shownTo(this.#roles, view) }
  }
}

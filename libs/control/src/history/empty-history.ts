/** The history of a project in which nothing ever ran. */
import type {
  AttemptsPage,
  FailedPage,
  ReplayView,
  RequestView,
  RunsPage,
  RunView,
} from '@sluice/contracts/api'
import type { RowLife, RunAnswers, RunFigures } from '@sluice/contracts/views/history-views'
import type {
  AttemptsQuery,
  FailedQuery,
  PastWanted,
  ReplayQuery,
  RunHistory,
  RunsQuery,
  SyncPast,
} from '../port.ts'
import { unknownRequest, unknownRow, unknownRun, unknownSync } from '../unknown-names.ts'

export class EmptyHistory implements RunHistory {
  readonly #syncs: ReadonlySet<string>

  /** `syncs`: the names of the project's syncs. */
  constructor(syncs: ReadonlySet<string>) {
    this.#syncs = syncs
  }

  async runs({ sync }: RunsQuery): Promise<RunsPage> {
    this.#assertSync(sync)
    return Promise.resolve({ runs: [], next: null })
  }

  run(id: string): Promise<RunView> {
    return Promise.reject(unknownRun(id))
  }

  async *follow(id: string): AsyncGenerator<RunView> {
    await Promise.resolve()
    throw unknownRun(id)
  }

  async attempts({ run, sync }: AttemptsQuery): Promise<AttemptsPage> {
    if (run !== undefined) throw unknownRun(run)
    this.#assertSync(sync)
    return Promise.resolve({ attempts: [], next: null })
  }

  request(id: string): Promise<RequestView> {
    return Promise.reject(unknownRequest(id))
  }

  async row(row: { readonly sync: string; readonly key: string }): Promise<RowLife> {
    this.#assertSync(row.sync)
    return await Promise.reject(unknownRow(row))
  }

  figures(run: string): Promise<RunFigures> {
    return Promise.reject(unknownRun(run))
  }

  answers(run: string): Promise<RunAnswers> {
    return Promise.reject(unknownRun(run))
  }

  async failed({ run, sync }: FailedQuery): Promise<FailedPage> {
    if (run !== undefined) throw unknownRun(run)
    this.#assertSync(sync)
    return Promise.resolve({ rows: [], next: null, groups: [] })
  }

  past(_sync: string, { deliveredSince }: PastWanted): Promise<SyncPast> {
    return Promise.resolve(emptyPast(deliveredSince))
  }

  async replayable({ sync }: ReplayQuery): Promise<ReplayView> {
    this.#assertSync(sync)
    const notices = [`nothing of \`${sync}\` is recorded: it has never run`]
    const none = { requests: 0, rows: 0, triggers: {}, first: [], notRecorded: { runs: 0, requests: 0 } }
    return Promise.resolve({ sync, ...none, notices })
  }

  #assertSync(sync: string | undefined): void {
    if (sync !== undefined && !this.#syncs.has(sync)) throw unknownSync(sync, this.#syncs)
  }
}

/** The past of a sync that never ran. */
export function emptyPast(deliveredSince: number | null): SyncPast {
  return {
    ...{ runs: [], figures: [], rows: { failed: 0, heldBack: 0 }, certificates: [], pausedUntil: null },
    ...{ telling: null, behind: null, stream: null },
    delivered: deliveredSince === null ? null : { rows: 0, isWhole: true },
  }
}

/** Collects the facts about a sync for an evaluation, and reads the errors of runs for it. */
import type { AlertNotice } from '@sluice/contracts/specs/alert-views'
import type { DestinationSpec } from '@sluice/contracts/resources'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { ErrorGroup } from '@sluice/domain/answers/error-groups'
import { isNoTokenError } from '@sluice/oauth/login'
import { RecentMap } from '@sluice/flow/recent-map'
import type { RunsView } from '@sluice/runs/runs-view'
import type { AlertState } from '../evaluate/alert-state.ts'
import { factsOfRuns, shownCertificates, type EndedRun, type SyncFacts } from '../evaluate/facts.ts'
import { ownCertificates, type Watched } from './watched.ts'

/** The errors of this many runs are remembered. */
const ERRORS_KEPT = 200

export interface KnownFactsDeps {
  readonly runs: RunsView
  readonly secretFor: SecretFor
  /** The errors of a run that ended, the most frequent first. */
  readonly errorsOf: (
    run: { readonly sync: string; readonly run: string },
    signal: AbortSignal,
  ) => Promise<readonly ErrorGroup[]>
  /** Judges a destination by the runs of these syncs, in the same way as every view of its health. */
  readonly judge: (destination: DestinationSpec, syncs: ReadonlySet<string>) => DestinationHealth
  /** The URL of the console; null if it is not set. */
  readonly publicUrl: string | null
}

export class KnownFacts {
  readonly #deps: KnownFactsDeps
  readonly #errors = new RecentMap<string, readonly ErrorGroup[]>({ limit: ERRORS_KEPT })

  constructor(deps: KnownFactsDeps) {
    this.#deps = deps
  }

  /** Returns the facts. If the alert needs errors, it reads those of the runs that ended since the state. */
  async of(
    { alert, sync, paused, destination, tellsFor }: Watched,
    before: AlertState | null,
    signal: AbortSignal,
  ): Promise<SyncFacts> {
    const { runs, secretFor } = this.#deps
    const facts = factsOfRuns(sync, runs.of(sync))
    const wantsCertificates = alert.when.includes('certificate-expiring') && destination !== null
    const certificates = wantsCertificates
      ? [...ownCertificates(destination, secretFor), ...shownCertificates(runs.of(sync), destination.name)]
      : []
    const refusals = new Map<string, string>()
    if (alert.when.includes('auth-failing'))
      for (const run of newlyEnded(facts.ended, before)) {
        const why = refusalIn(await this.#errorsOf(sync, run.id, signal))
        if (why !== null) refusals.set(run.id, why)
      }
    const isJudged = alert.when.includes('destination-failing') && destination !== null && tellsFor !== null
    const judged = isJudged
      ? { name: destination.name, health: this.#deps.judge(destination, tellsFor) }
      : null
    return { ...facts, paused, certificates, refusals, destination: judged }
  }

  async #errorsOf(sync: string, run: string, signal: AbortSignal): Promise<readonly ErrorGroup[]> {
    const known = this.#errors.get(run)
    if (known !== undefined) return known
    const errors = await this.#deps.errorsOf({ sync, run }, signal)
    this.#errors.set(run, errors)
    return errors
  }

  /** Returns the outbox, with the errors of the run and a link added to each new notice. */
  async completed(
    { outbox }: AlertState,
    notices: readonly AlertNotice[],
    signal: AbortSignal,
  ): Promise<AlertNotice[]> {
    const completed = new Map<string, AlertNotice>()
    for (const notice of notices) {
      const { sync, run, state } = notice
      const groups =
        state === 'firing' && sync !== null && run !== null && run.endedAt !== null
          ? await this.#errorsOf(sync, run.id, signal)
          : []
      const errors = groups.slice(0, 3).map(({ error, count, key, status }) => {
        const message = error ?? (status === null ? 'no reason is known' : `HTTP ${status}`)
        return { message, rows: count, key }
      })
      completed.set(notice.id, { ...notice, errors, link: this.#linkOf(notice) })
    }
    return outbox.map(notice => completed.get(notice.id) ?? notice)
  }

  #linkOf({ sync, run }: AlertNotice): string | null {
    const { publicUrl } = this.#deps
    if (publicUrl === null) return null
    return run === null ? `${publicUrl}/syncs/${sync ?? ''}` : `${publicUrl}/runs/${run.id}`
  }
}

/** Returns the newly ended runs that did not deliver all rows. Refused credentials may be the reason. */
function newlyEnded(ended: readonly EndedRun[], before: AlertState | null): readonly EndedRun[] {
  const since = before?.seen?.endedAt ?? -1
  const news =
    before === null
      ? ended.filter(({ status }) => status !== 'cancelled').slice(-1)
      : ended.filter(({ endedAt }) => endedAt >= since)
  return news.filter(({ status, figures }) => status !== 'success' && figures.notDelivered > 0)
}

const UNAUTHORIZED = 401

/** Returns the sentence with which the destination refused the credentials; null if it did not. */
function refusalIn(errors: readonly ErrorGroup[]): string | null {
  const group = errors.find(
    ({ status, error }) => status === UNAUTHORIZED || (error !== null && isNoTokenError(error)),
  )
  return group === undefined ? null : (group.error ?? `HTTP ${UNAUTHORIZED}`)
}

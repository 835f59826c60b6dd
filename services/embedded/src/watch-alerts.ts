/** Alerts in the process that works in a folder. */
import type { SendNoticeDeps } from '@sluice/alerts/send/send-notice'
import type { Pipeline } from '@sluice/control/pipeline'
import { secretChecksOf } from './folder-secrets.ts'
import type { Ends } from '@sluice/flow/ends'
import { publicUrlOf } from '@sluice/alerts/keep/public-url'
import type { Metrics } from '@sluice/runtime/metrics'
import type { Environment } from '@sluice/runtime/environment'
import type { Vault } from '@sluice/secrets/vault/vault'
import { readResources } from '@sluice/resources/stored-resources'

export type WatchAlertsDeps = Pick<Pipeline, 'log' | 'io' | 'prefix' | 'runs' | 'logger'> & {
  readonly env: Environment
  /** The metrics of alerts; absent: they are not counted. */
  readonly metrics?: Metrics
  /** The syncs that are run; null for all. The set may grow. */
  readonly only: ReadonlySet<string> | null
  readonly openNoticeSenders: () => SendNoticeDeps & AsyncDisposable
  readonly vault: Vault
}

/**
 * Watches alerts until drained, in the one process that works in the folder. In a command that runs some
 * syncs, it sends the notices of their runs, and loads nothing if there is no alert. A failure is logged and
 * ends no run.
 */
export async function watchAlerts(deps: WatchAlertsDeps, ends: Ends): Promise<void> {
  const { only, logger, env, metrics, runs, vault } = deps
  const isServer = only === null
  // The set may be empty again at the last look.
  const asked = new Set(only)
  try {
    if (!isServer && !(await hasAlerts(deps, ends.abort))) return
    const [{ keepAlertsAlone }, { createAlertMetrics, NO_ALERT_METRICS }, { runErrors }, { judgeWith }] =
      await Promise.all([
        import('@sluice/alerts/keep/keep-alerts'),
        import('@sluice/alerts/keep/alert-metrics'),
        import('@sluice/control/history/run-errors'),
        import('@sluice/control/destinations/destination-health'),
      ])
    await using senders = deps.openNoticeSenders()
    const alertMetrics = metrics === undefined ? NO_ALERT_METRICS : createAlertMetrics(metrics)
    const kept = {
      ...{ ...deps, ...senders, alertMetrics, publicUrl: publicUrlOf(env) },
      ...{ errorsOf: runErrors.bind(null, deps), looksOnceMore: !isServer },
      judge: judgeWith({ runs, means: { secretFor: secretChecksOf(env, vault), knowsAll: true, vault } }),
    }
    const { only: _, ...all } = kept
    const has = (sync: string): boolean => asked.has(sync) || only?.has(sync) === true
    await keepAlertsAlone(isServer ? all : { ...all, only: { has } }, ends)
  } catch (err) {
    if (!ends.abort.aborted) logger.error({ err }, 'alerts are not watched any more')
  }
}

async function hasAlerts(deps: WatchAlertsDeps, signal: AbortSignal): Promise<boolean> {
  const resources = await readResources(deps, { signal })
  return [...resources.values()].some(({ kind }) => kind === 'alert')
}

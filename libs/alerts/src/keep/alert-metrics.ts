/** What operators see of alerts, as metrics. Counting never waits and never fails. */
import type { Metrics } from '@sluice/runtime/metrics'

export interface AlertMetrics {
  /** So many conditions of an alert hold, over all its syncs. */
  firing(alert: string, count: number): void
  /** So many notices of an alert are not told yet. */
  undelivered(alert: string, count: number): void
  /** What became of one try at telling a notice. */
  tried(alert: string, result: 'told' | 'failed'): void
  /** An alert, or one of its syncs, is no more. */
  gone(alert: string): void
}

export const NO_ALERT_METRICS: AlertMetrics = {
  firing: () => undefined,
  undelivered: () => undefined,
  tried: () => undefined,
  gone: () => undefined,
}

/** Registers them; once per process. */
export function createAlertMetrics(metrics: Metrics): AlertMetrics {
  const firing = metrics.gauge({
    name: 'alert_conditions_firing',
    help: 'Conditions of an alert that hold now, over all its syncs',
    labels: ['alert'],
  })
  const undelivered = metrics.gauge({
    name: 'alert_notices_undelivered',
    help: 'Notices of an alert that could not be told yet',
    labels: ['alert'],
  })
  const tries = metrics.counter({
    name: 'alert_notice_attempts_total',
    help: 'Tries at telling a notice of an alert, by what came of them',
    labels: ['alert', 'result'],
  })
  return {
    firing: (alert, count) => firing.set(count, { alert }),
    undelivered: (alert, count) => undelivered.set(count, { alert }),
    tried(alert, result) {
      for (const each of ['told', 'failed']) tries.add(each === result ? 1 : 0, { alert, result: each })
    },
    gone(alert) {
      firing.remove({ alert })
      undelivered.remove({ alert })
    },
  }
}

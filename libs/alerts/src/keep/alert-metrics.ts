/** Metrics of alerts for operators. Counting never waits and never fails. */
import type { Metrics } from '@sluice/runtime/metrics'

export interface AlertMetrics {
  /** The number of conditions of an alert that hold, over all its syncs. */
  firing(alert: string, count: number): void
  /** The number of notices of an alert that are not sent yet. */
  undelivered(alert: string, count: number): void
  /** The result of one attempt to send a notice. */
  tried(alert: string, result: 'told' | 'failed'): void
  /** An alert, or one of its syncs, no longer exists. */
  gone(alert: string): void
}

export const NO_ALERT_METRICS: AlertMetrics = {
  firing: () => undefined,
  undelivered: () => undefined,
  tried: () => undefined,
  gone: () => undefined,
}

/** Registers the metrics. Call it once per process. */
export function createAlertMetrics(metrics: Metrics): AlertMetrics {
  const firing = metrics.gauge({
    name: 'alert_conditions_firing',
    help: 'Conditions of an alert that hold now, over all its syncs',
    labels: ['alert'],
  })
  const undelivered = metrics.gauge({
    name: 'alert_notices_undelivered',
    help: 'Notices of an alert that could not be sent yet',
    labels: ['alert'],
  })
  const attempts = metrics.counter({
    name: 'alert_notice_attempts_total',
    help: 'Attempts to send a notice of an alert, by result',
    labels: ['alert', 'result'],
  })
  return {
    firing: (alert, count) => firing.set(count, { alert }),
    undelivered: (alert, count) => undelivered.set(count, { alert }),
    tried(alert, result) {
      for (const each of ['told', 'failed']) attempts.add(each === result ? 1 : 0, { alert, result: each })
    },
    gone(alert) {
      firing.remove({ alert })
      undelivered.remove({ alert })
    },
  }
}

/** Alerts as people see them. */
import type { AlertsView, AlertView } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import { conditionName, shownTarget, type AlertConditionName } from '@sluice/contracts/specs/alert-specs'
import type { KeptState } from './alert-records.ts'

/** By name, with what is known of the syncs that they watch. */
export function alertsViewOf(alerts: readonly AlertSpec[], states: Iterable<KeptState>): AlertsView {
  const all = [...states]
  return {
    alerts: [...alerts]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(alert =>
        viewOf(
          alert,
          all.filter(state => isOf(alert, state)),
        ),
      ),
  }
}

function isOf({ name, syncs }: AlertSpec, { alert, sync }: KeptState): boolean {
  return alert === name && (syncs === 'all' || syncs.includes(sync))
}

function viewOf(alert: AlertSpec, states: readonly KeptState[]): AlertView {
  const when = alert.when.map(conditionName)
  const firing = states.flatMap(({ sync, state }) =>
    when.flatMap((condition: AlertConditionName) => {
      const { since, run, text } = state.firing[condition] ?? {}
      if (since === undefined || run === undefined || text === undefined) return []
      return [{ sync, condition, since: isoTime(since), run, text }]
    }),
  )
  const [lastSent] = states.flatMap(({ state }) => state.lastSent ?? []).sort((a, b) => b.at - a.at)
  const [trouble] = states.flatMap(({ state }) => state.trouble ?? []).sort((a, b) => b.nextAt - a.nextAt)
  const notices = states.reduce((sum, { state }) => sum + state.outbox.length, 0)
  return {
    ...{ name: alert.name, title: alert.title ?? null, when },
    syncs: alert.syncs === 'all' ? 'all' : [...alert.syncs],
    to: { kind: kindOf(alert), address: shownTarget(alert.to) },
    state: states.length === 0 ? 'unwatched' : firing.length > 0 ? 'firing' : 'ok',
    firing,
    lastNotice: lastSent === undefined ? null : { id: lastSent.id, at: isoTime(lastSent.at) },
    undelivered:
      trouble === undefined || notices === 0
        ? null
        : {
            ...{ notices, tries: trouble.tries, error: trouble.error },
            ...{ since: isoTime(trouble.since), nextTryAt: isoTime(trouble.nextAt) },
          },
  }
}

function kindOf({ to }: AlertSpec): AlertView['to']['kind'] {
  if ('email' in to) return 'email'
  return 'slack' in to ? 'slack' : 'webhook'
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

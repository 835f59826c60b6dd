/** Reads and writes the states of alerts in the topic `alerts`. */
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import { decodeShared } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, keyText, sharedTopics, textKey } from '@sluice/topics/topics'
import type { AlertsView, AlertView } from '@sluice/contracts/specs/alert-views'
import type { AlertSpec } from '@sluice/contracts/resources'
import { conditionName, shownTarget, type AlertConditionName } from '@sluice/contracts/specs/alert-specs'
import { parseAlertState, type AlertState } from '../evaluate/alert-state.ts'

export interface AlertLog {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

/** An alert and one of its syncs. */
export interface Watch {
  readonly alert: string
  readonly sync: string
}

export interface KeptState extends Watch {
  readonly state: AlertState
}

export function watchKey({ alert, sync }: Watch): string {
  return `${alert}/${sync}`
}

/** Returns the state as a record; a tombstone for null. */
export function stateRecord(
  { io, prefix }: Pick<AlertLog, 'io' | 'prefix'>,
  watch: Watch,
  state: AlertState | null,
): NewRecord {
  const { alerts } = sharedTopics(prefix)
  const value = state === null ? null : io.encode('AlertRecord', { ...watch, state: JSON.stringify(state) })
  return io.signed(alerts, { key: textKey(watchKey(watch)), value })
}

/**
 * Reads all states that the topic holds at the time of the call, by `watchKey`. A log of an earlier version
 * may lack the topic, and then has no states. A record that is not a state is ignored, since another program
 * may have written it.
 */
export async function readAlertStates(
  { log, io, prefix }: AlertLog,
  signal: AbortSignal,
): Promise<Map<string, KeptState>> {
  const target = at(sharedTopics(prefix).alerts, 0)
  const states = new Map<string, KeptState>()
  if ((await log.partitionsOf(target.topic, { signal })) === null) return states
  const { low, end } = await log.offsets(target, { signal })
  if (low >= end) return states
  for await (const { records } of log.read(target, { from: low, to: end, signal })) {
    for (const { key, record, torn } of await decodeShared(io, { target, records }, signal)) {
      if (torn !== undefined) continue
      const name = keyText(key)
      if (record === null) states.delete(name)
      if (record?.name !== 'sluice.AlertRecord') continue
      const { alert, sync } = record.value
      const state = parseAlertState(record.value.state)
      if (state !== null && watchKey({ alert, sync }) === name) states.set(name, { alert, sync, state })
    }
  }
  return states
}

/** Returns the alerts as people see them, by name, with the states of the syncs that they watch. */
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
      return [{ sync, condition, since: new Date(since).toISOString(), run, text }]
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
    lastNotice: lastSent === undefined ? null : { id: lastSent.id, at: new Date(lastSent.at).toISOString() },
    undelivered:
      trouble === undefined || notices === 0
        ? null
        : {
            ...{ notices, tries: trouble.tries, error: trouble.error },
            since: new Date(trouble.since).toISOString(),
            nextTryAt: new Date(trouble.nextAt).toISOString(),
          },
  }
}

function kindOf({ to }: AlertSpec): AlertView['to']['kind'] {
  if ('email' in to) return 'email'
  return 'slack' in to ? 'slack' : 'webhook'
}

/** The states of alerts in the topic `alerts`. */
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import { decodeShared } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, keyText, sharedTopics, textKey } from '@sluice/topics/topics'
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

/** The state as a record; a tombstone for null. */
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
 * All states that the topic had when this was called, by `watchKey`. None if there is no such topic: a log
 * from before there were alerts. A record that is no state counts as none, as a stranger may have written it.
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

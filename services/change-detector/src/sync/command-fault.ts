/** Commands that are not carried out: anybody who may write to the topic can put one there. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command, RunEvent } from '@sluice/contracts/records'
import { NAME_PATTERN } from '@sluice/contracts/resources'
import { queuedRun } from '@sluice/runs/machine/run-events'
import type { Placed } from '@sluice/topics/owned-reader'
import { homePartition, isRunId, keyText } from '@sluice/topics/topics'

/** Why a record of `commands` is none of Sluice's; null for one that is, and for a tombstone. */
export function commandFault({ key, record }: Placed, partition: number): SluiceError | null {
  if (record === null) return null
  const fault = (what: string): SluiceError => new SluiceError('corrupt', `A record of commands ${what}.`)
  if (record.name !== 'sluice.Command') return fault(`is a ${record.name}`)
  const { sync, id } = record.value
  if (!NAME_PATTERN.test(sync)) return fault('names no sync')
  // It becomes a part of the names of files.
  if (!isRunId(id)) return fault('has an id that is none')
  if (keyText(key) !== sync || homePartition(sync) !== partition)
    return fault(`names the sync ${sync}, whose commands stand under another key or partition`)
  return null
}

/** The event of the run that a command without the right signature asks for. */
export function refusedRun(
  command: Command,
  of: {
    readonly fault: SluiceError
    readonly incarnation: string
    readonly marker: number
    readonly at: number
  },
): RunEvent {
  const { id: runId, sync, cause, scope, by } = command
  const { fault, incarnation, marker, at } = of
  const error =
    `${fault.message} The services carry out only commands that are signed with their key: ` +
    'run `sluice` with the same SLUICE_SIGNING_KEY.'
  // The command counts as none, so that it takes no part in which command was taken last.
  const run = queuedRun({ runId, cause, scope, command: -1, partitions: 0, at, by, fired: null })
  return { ...run, sync, incarnation, marker, status: 'failed', error, errorCode: 'config', endedAt: at }
}

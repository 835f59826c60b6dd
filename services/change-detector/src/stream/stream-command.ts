/** The rows of a command over a stream: a resync, a retry or a discard. */
import type { StreamCommand } from '@sluice/delivered-state/stream-port'
import { isInGroup } from '@sluice/domain/answers/failed-group'
import { isAmong } from '@sluice/domain/answers/status-filter'
import { purposeOf, type RunState } from '@sluice/runs/machine/run-events'
import type { KnownKey } from './decide-slice.ts'

export type AskedCommand = StreamCommand & { readonly as: 'added' | 'changed' }

/**
 * Returns what the run was asked for; null for an ordinary run. A retry of all that failed is a command as
 * well.
 */
export function commandOf(run: RunState): AskedCommand | null {
  const purpose = purposeOf(run)
  const upToSlices = run.upToSlices ?? null
  const common = { upTo: run.upTo ?? (run.run ?? 1) - 1, upToSlices, as: 'added' } as const
  const all = { key: null, status: null, group: null }
  if (purpose?.kind === 'resync') return { ...common, ...all, kind: 'resync', as: purpose.as }
  if (purpose?.kind === 'discard' || purpose?.kind === 'retry') {
    const { kind, key, status, group = null } = purpose
    return { ...common, kind, key, status, group }
  }
  return run.cause === 'retry' ? { ...common, ...all, kind: 'retry' } : null
}

/**
 * True if the command is about the key, and has not been carried out for it. `StreamState.meant` has the same
 * keys.
 */
export function isMeantBy(command: AskedCommand, known: KnownKey, incarnation: string): boolean {
  const { kind, upTo, upToSlices, key, status, group = null } = command
  if (known.run > upTo) return false
  const isLater = upToSlices !== null && known.slice > (upToSlices[known.partition] ?? 0)
  if (known.run === upTo && isLater) return false
  const { failed } = known
  if (kind !== 'resync' && failed === null && !known.state.endsWith('-uncertain')) return false
  if (key !== null && known.key !== key) return false
  if (status !== null && !isAmong(status, failed?.status ?? null)) return false
  if (group === null) return true
  if (failed === null) return false
  return isInGroup(group, { ...failed, since: new Date(failed.since).toISOString() }, incarnation)
}

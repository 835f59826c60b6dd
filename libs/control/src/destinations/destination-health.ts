/** Judges the health of destinations by the reports of runs, and by the secrets that this process knows. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { secretNames, type SecretFor, type SecretUse } from '@sluice/contracts/secret-references'
import type { DestinationHealth, DestinationHour } from '@sluice/contracts/views/destination-health'
import { destinationHealthOf, type Unusable, unusableBy } from '@sluice/domain/destination-health'
import { credentialsOf } from '@sluice/domain/refused-credentials'
import { usesByDestination, usesByTokens } from '@sluice/domain/secret-uses'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Vault } from '@sluice/secrets/vault/vault'
import { answersOf } from './answers-of.ts'

/** The secrets of the processes that send, as far as this process knows them. */
export interface KnownMeans {
  readonly secretFor: SecretFor
  /** False where processes that send may have secrets in their own environments. */
  readonly knowsAll: boolean
  /** Null where the vault is not open. */
  readonly vault: Pick<Vault, 'login' | 'list'> | null
}

export interface HealthDeps {
  readonly runs: Pick<RunsView, 'all'>
  /** Null where this process knows nothing of secrets. */
  readonly means: KnownMeans | null
}

export interface JudgedDestination {
  readonly health: DestinationHealth
  readonly hour: DestinationHour
}

/**
 * Judges a destination that these syncs send to. Reads no topic. It takes longer the more runs and partitions
 * are known. `now` is in ms since 1970.
 */
export function judgeDestination(
  spec: DestinationSpec,
  { syncs, runs, means, now }: HealthDeps & { readonly syncs: ReadonlySet<string>; readonly now: number },
): JudgedDestination {
  const { hour, stopped, ...answers } = answersOf(spec.name, { syncs, runs: runs.all() })
  const unusable = means === null ? null : unusableNow(spec, means)
  const isMended = stopped?.by === 'unusable' && means !== null && isMendedSince(spec, stopped, means)
  const credentials = credentialsOf(spec)
  const facts = { ...answers, unusable, credentials, stopped: isMended ? null : stopped }
  return { health: destinationHealthOf(facts, now), hour }
}

/** Returns a function that judges a destination now, for a process that watches alerts. */
export function judgeWith(
  deps: HealthDeps,
): (spec: DestinationSpec, syncs: ReadonlySet<string>) => DestinationHealth {
  return (spec, syncs) => judgeDestination(spec, { ...deps, syncs, now: Date.now() }).health
}

/** Returns the reason why nothing can be sent to the destination; null if this process knows of none. */
function unusableNow(spec: DestinationSpec, means: KnownMeans): Unusable | null {
  return missingSecret(spec, means) ?? missingLogin(spec, means)
}

function missingSecret(spec: DestinationSpec, { secretFor, knowsAll }: KnownMeans): Unusable | null {
  if (!knowsAll) return null
  for (const [name, use] of secretUses(spec)) {
    try {
      secretFor(name, use)
    } catch (error) {
      if (!isSluiceError(error, 'config')) throw error
      return unusableBy(error.message)
    }
  }
  return null
}

/** The secrets that the destination names, each with a server that gets it. */
function* secretUses(spec: DestinationSpec): Generator<readonly [string, SecretUse]> {
  const { auth, tls } = spec
  for (const use of usesByDestination(spec))
    for (const name of secretNames(JSON.stringify(spec))) yield [name, use]
  for (const use of usesByTokens(spec))
    for (const name of secretNames(JSON.stringify([auth, tls]))) yield [name, use]
}

/** Logins are in the vault alone, so a login that is missing there is missing everywhere. */
function missingLogin({ name, auth }: DestinationSpec, { vault }: KnownMeans): Unusable | null {
  const isByPerson = auth !== undefined && 'oauth2' in auth && auth.oauth2.grant === 'authorization-code'
  if (!isByPerson || vault === null || hasLogin(vault, name)) return null
  return { reason: 'Nobody has logged in yet.', fix: { act: 'log-in', name } }
}

/** Also true for a login that this process cannot read. */
function hasLogin(vault: Pick<Vault, 'login'>, destination: string): boolean {
  try {
    return vault.login(destination) !== null
  } catch (error) {
    if (!isSluiceError(error, 'config')) throw error
    return true
  }
}

/** True if a secret that the destination names, or its login, was set after a run lacked it. */
function isMendedSince(
  spec: DestinationSpec,
  { at, detail }: { readonly at: number; readonly detail: string },
  { vault, knowsAll }: KnownMeans,
): boolean {
  const { fix } = unusableBy(detail)
  // This check has just found that no secret is missing.
  if (fix?.act === 'set-secret' && knowsAll) return true
  const names = secretNames(JSON.stringify(spec))
  return (vault?.list() ?? []).some(
    ({ kind, name, since }) => since > at && (kind === 'login' ? name === spec.name : names.includes(name)),
  )
}

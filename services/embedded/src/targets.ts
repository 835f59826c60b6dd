/** Destinations with their secrets, cached by definition until the vault changes. */
import type { DestinationTokens } from '@sluice/delivery/destination/destination-tokens'
import { resolveTarget, type Profile, type Target } from '@sluice/delivery/destination/target'
import type { ResolveTarget } from '@sluice/delivery/run/open-run'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { RecentMap } from '@sluice/flow/recent-map'
import type { Definitions } from '@sluice/resources/stored-documents'
import type { Vault } from '@sluice/secrets/vault/vault'

/** Each edit makes a definition, but only a few definitions have runs at work. */
const TARGETS_KEPT = 100

interface TargetMeans {
  readonly tokens: DestinationTokens
  readonly vault: Pick<Vault, 'version'>
  readonly profile: Profile
}

export function targets(
  definitions: Definitions,
  secretFor: SecretFor,
  { tokens, vault, profile }: TargetMeans,
): ResolveTarget {
  const known = new RecentMap<string, { readonly target: Target; readonly version: number }>({
    limit: TARGETS_KEPT,
  })
  return async (hash, { signal }) => {
    const kept = known.get(hash)
    if (kept?.version === vault.version) return kept.target
    const definition = await definitions.get(hash, { signal })
    const { version } = vault
    const credentials = tokens.of(definition.destination)
    const target = { ...resolveTarget(definition, secretFor, profile), credentials }
    known.set(hash, { target, version })
    return target
  }
}

/** Lists the secrets that resources name, with the place that each one comes from. */
import type { SecretsView } from '@sluice/contracts/api'
import { isSluiceError } from '@sluice/contracts/errors'
import type { ResourceSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import { keptName } from '@sluice/secrets/vault/vault'

export type NamedSecret = NonNullable<SecretsView['named']>[number]

interface SecretPlaces {
  /** The secrets and logins of the vault. */
  readonly kept: readonly { readonly kind: string; readonly name: string }[]
  /** Returns the variable of this environment that sets a secret; null if none does. */
  readonly variableOf: (name: string) => string | null
  /** False where other processes may have secrets in their own environments. */
  readonly knowsAll: boolean
}

/** Returns each secret once, by name. It leaves out names that no secret can have. */
export function namedSecrets(
  specs: readonly ResourceSpec[],
  { kept, variableOf, knowsAll }: SecretPlaces,
): NamedSecret[] {
  const users = usersByName(specs)
  const inVault = new Set(kept.filter(({ kind }) => kind === 'secret').map(({ name }) => name))
  return [...users]
    .map(([name, usedBy]): NamedSecret => {
      const variable = variableOf(name)
      const isKept = inVault.has(name)
      const from = variable !== null ? 'environment' : isKept ? 'vault' : knowsAll ? 'missing' : 'unknown'
      return { name, from, variable, usedBy }
    })
    .sort((one, other) => one.name.localeCompare(other.name, 'en'))
}

function usersByName(specs: readonly ResourceSpec[]): Map<string, NamedSecret['usedBy']> {
  const users = new Map<string, NamedSecret['usedBy']>()
  for (const spec of specs) {
    // No other field of these, and no other resource, refers to a secret.
    if (spec.kind === 'model' || spec.kind === 'sync') continue
    for (const name of new Set(secretNames(JSON.stringify(spec)).flatMap(nameOrNone)))
      users.set(name, [...(users.get(name) ?? []), { kind: spec.kind, name: spec.name }])
  }
  return users
}

function nameOrNone(name: string): readonly string[] {
  try {
    return [keptName(name)]
  } catch (error) {
    if (isSluiceError(error, 'config')) return []
    throw error
  }
}

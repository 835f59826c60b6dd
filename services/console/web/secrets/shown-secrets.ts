/** The rows of the page of secrets. */
import type { SecretsView } from '@sluice/contracts/api'

type Kept = SecretsView['secrets'][number]
type Named = NonNullable<SecretsView['named']>[number]

export interface ShownSecret extends Pick<Named, 'from' | 'variable' | 'usedBy'> {
  readonly kind: Kept['kind']
  readonly name: string
  /** The secret of the vault. Null if the vault has none of this name. */
  readonly kept: Kept | null
}

/** Each secret once: those that are not set come first, then all others by name. */
export function shownSecrets({ secrets, named = [] }: SecretsView): readonly ShownSecret[] {
  const byName = new Map(named.map(secret => [secret.name, secret]))
  const inVault = secrets.map((kept): ShownSecret => {
    const { kind, name } = kept
    // A login has the name of its destination, which alone uses it.
    if (kind === 'login')
      return { kind, name, kept, from: 'vault', variable: null, usedBy: [{ kind: 'destination', name }] }
    const { from = 'vault', variable = null, usedBy = [] } = byName.get(name) ?? {}
    return { kind, name, kept, from, variable, usedBy }
  })
  const isKept = new Set(secrets.flatMap(({ kind, name }) => (kind === 'secret' ? [name] : [])))
  const elsewhere = named
    .filter(({ name }) => !isKept.has(name))
    .map((secret): ShownSecret => ({ ...secret, kind: 'secret', kept: null }))
  const rank = ({ from }: ShownSecret): number => (from === 'missing' ? 0 : 1)
  return [...elsewhere, ...inVault].sort(
    (one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name, 'en'),
  )
}

/** The secrets of the vault as a table. Whoever may write to the topic chooses what stands in it. */
import { painter, safe } from './paint.ts'
import { table } from './table.ts'

/** A secret as `sluice secret list --json` has it. */
export interface ListedSecret {
  readonly kind: string
  readonly name: string
  readonly for: string | null
  readonly since: string
  /** Who set it. A server of an earlier version does not say. */
  readonly by?: string | null | undefined
  readonly key: string
}

export function secretsText(
  secrets: readonly ListedSecret[],
  { color, columns }: { readonly color: boolean; readonly columns: number | null },
): string {
  if (secrets.length === 0) return 'The vault is empty. `sluice secret set NAME` keeps a secret.\n'
  const titles = ['NAME', 'KIND', 'FOR', 'SINCE', 'BY', 'KEY']
  const lines = table(
    titles.map(title => ({ title, shrinks: title === 'FOR' })),
    secrets.map(({ name, kind, for: places, since, by, key }) =>
      [name, kind, places ?? '', since.slice(0, 16), by ?? '', key].map(safe),
    ),
    { width: columns, paint: painter(color) },
  )
  return `${lines.join('\n')}\n`
}

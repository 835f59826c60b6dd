/** What a run did, or did not do, that its user should know. */
import type { Definition } from '@sluice/contracts/resources'
import { detectedRows } from '@sluice/domain/counts'
import type { Diff, RunPurpose } from '@sluice/delivered-state/port'

/** One sentence each, to follow `note:`. */
export function noticesOf(
  { sync, model }: Definition,
  { adopted, muted, settled, counts }: Pick<Diff, 'adopted' | 'muted' | 'settled' | 'counts'>,
  purpose?: RunPurpose,
): readonly string[] {
  const notices: string[] = []
  const { rows, columns } = adopted
  if (rows > 0)
    notices.push(
      `new in model ${model.name}: ${columns.join(', ')}. ${counted(rows)} delivered before without it; none is sent for that alone. ` +
        `\`sluice resync ${sync.name} --as changed\` sends all rows`,
    )
  const isOfSome = purpose?.kind === 'discard' || purpose?.kind === 'retry'
  if (isOfSome && settled === 0 && detectedRows(counts) === 0)
    notices.push(
      `no row was ${purpose.kind === 'discard' ? 'discarded' : 'tried again'}: ${noneIsMeant(purpose)}`,
    )
  if (muted > 0 && purpose?.kind === 'discard')
    notices.push(`${counted(muted)} discarded, and passed over until there is something else to send`)
  else if (muted > 0)
    notices.push(
      `${counted(muted)} given up after failing in ${sync.errors?.giveUpAfter ?? 0} runs, and passed over until there is something else to send`,
    )
  return notices
}

function noneIsMeant({ key, status }: Extract<RunPurpose, { readonly kind: 'discard' | 'retry' }>): string {
  return key === null && status === null ? 'none waits for another try' : 'none that waits is as asked for'
}

function counted(rows: number): string {
  return rows === 1 ? '1 row was' : `${rows} rows were`
}

/** The notices of a run: sentences about what it did, or did not do, that its user should know. */
import type { Definition } from '@sluice/contracts/resources'
import { detectedRows } from '@sluice/domain/counts'
import type { ColumnType } from '@sluice/contracts/values'
import type { Diff, MeantRows, RetypedColumn, RunPurpose } from '@sluice/delivered-state/port'

/** Returns one sentence for each notice, to follow `note:`. */
export function noticesOf(
  { sync, model }: Definition,
  {
    adopted,
    retyped,
    muted,
    undecided,
    settled,
    counts,
  }: Pick<Diff, 'adopted' | 'retyped' | 'muted' | 'undecided' | 'settled' | 'counts'>,
  purpose?: RunPurpose,
): readonly string[] {
  const notices: string[] = []
  const { rows, columns } = adopted
  if (rows > 0)
    notices.push(
      `new in model ${model.name}: ${columns.join(', ')}. ${counted(rows)} delivered before without it; none is sent for that alone. ` +
        `\`sluice resync ${sync.name} --as changed\` sends all rows`,
    )
  const others = retyped.filter(({ was, is }) => inWords(was) !== inWords(is))
  if (others.length > 0)
    notices.push(
      `in model ${model.name}, ${others.map(retypedText).join(', ')}. Rows that read differently are sent`,
    )
  const isOfSome = purpose?.kind === 'discard' || purpose?.kind === 'retry'
  const none = isOfSome && settled === 0 && detectedRows(counts) === 0 ? noneMeantNotice(purpose) : null
  if (none !== null) notices.push(none)
  if (muted > 0 && purpose?.kind === 'discard')
    notices.push(`${counted(muted)} discarded, and skipped until there is something else to send`)
  else if (muted > 0)
    notices.push(
      `${counted(muted)} given up after failing in ${sync.errors?.giveUpAfter ?? 0} runs, and skipped until there is something else to send`,
    )
  if (undecided > 0) notices.push(undecidedNotice(sync.name, undecided))
  return notices
}

/** Says that people have to decide about rows of a sync with `delivery: at-most-once`. */
export function undecidedNotice(sync: string, rows: number): string {
  return (
    `${counted(rows)} passed over, since nobody knows whether the destination has what was sent last: ` +
    `\`sluice failed ${sync}\` lists them, \`sluice retry ${sync}\` sends them again, \`sluice discard ${sync}\` leaves them`
  )
}

/** Says that a command found no row. Null for a command that is about all rows. */
export function noneMeantNotice({
  kind,
  ...meant
}: MeantRows & { readonly kind: 'resync' | 'retry' | 'discard' }): string | null {
  if (kind === 'resync') return null
  return `no row was ${kind === 'discard' ? 'discarded' : 'tried again'}: ${noneIsMeant(meant)}`
}

function noneIsMeant({ key, status, group = null }: MeantRows): string {
  return key === null && status === null && group === null
    ? 'none waits for a retry'
    : 'none that waits is as asked for'
}

function counted(rows: number): string {
  return rows === 1 ? '1 row was' : `${rows} rows were`
}

function retypedText({ name, was, is }: RetypedColumn): string {
  return `${name} was ${inWords(was)} and is ${inWords(is)}`
}

/** Names a type in words for people, who do not distinguish sizes of whole numbers. */
function inWords(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
    case 'long':
      return 'a whole number'
    case 'decimal':
      return type.scale === 0 ? 'a whole number' : `a decimal with ${type.scale} digits after the point`
    case 'float':
    case 'double':
      return 'a floating-point number'
    case 'boolean':
      return 'true or false'
    case 'timestamp':
      return type.zone ? 'a timestamp with time zone' : 'a timestamp'
    case 'list':
      return `a list (each ${inWords(type.of)})`
    case 'struct':
      return `a struct (${type.fields.map(field => `${field.name}: ${inWords(field.type)}`).join(', ')})`
    case 'interval':
      return 'an interval'
    case 'uuid':
      return 'a UUID'
    case 'date':
    case 'time':
      return `a ${type.kind}`
    case 'text':
    case 'bytes':
      return type.kind
    case 'json':
      return 'JSON'
    default:
      return type satisfies never
  }
}

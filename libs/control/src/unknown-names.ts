/** The errors for names that are not there, and the names that a label stands for. */
import { SluiceError } from '@sluice/contracts/errors'
import { nearestName } from '@sluice/domain/nearest-name'

export function unknownSync(name: string, known: Iterable<string>): SluiceError {
  const near = nearestName(name, known)
  const hint = near === null ? '; `sluice syncs` lists the syncs.' : `: did you mean \`${near}\`?`
  return new SluiceError('not-found', `There is no sync \`${name}\`${hint}`)
}

/** Returns the names of the syncs with the label. Throws `not-found` if no sync has it. */
export function syncsWith(
  label: string,
  syncs: readonly { readonly name: string; readonly labels: readonly string[] }[],
): readonly string[] {
  const found = syncs.filter(({ labels }) => labels.includes(label))
  if (found.length > 0) return found.map(({ name }) => name)
  throw unknownLabel(label, [...new Set(syncs.flatMap(({ labels }) => labels))].sort())
}

function unknownLabel(label: string, all: readonly string[]): SluiceError {
  const near = nearestName(label, all)
  const hint =
    all.length === 0
      ? ': write `labels` of a sync, such as `labels: [crm]`.'
      : near === null
        ? `; there are: ${all.join(', ')}.`
        : `: did you mean \`${near}\`?`
  return new SluiceError('not-found', `No sync has the label \`${label}\`${hint}`)
}

export function unknownRow({ sync, key }: { readonly sync: string; readonly key: string }): SluiceError {
  return new SluiceError(
    'not-found',
    `Nothing is known of a row with the key \`${key}\` in \`${sync}\`. A key of several columns is a JSON array: \`["eu", "42"]\`.`,
  )
}

export function unknownRequest(id: string): SluiceError {
  return new SluiceError(
    'not-found',
    `There is no request \`${id}\`: \`sluice attempts --json\` has the ids of those that are still held.`,
  )
}

export function unknownRun(id: string): SluiceError {
  return new SluiceError('not-found', `There is no run \`${id}\`; \`sluice runs\` lists the runs.`)
}

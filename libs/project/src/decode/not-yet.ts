/**
 * The values and kinds that docs/reference lists as not supported by this version yet. The decoder
 * refuses them, since a sync that ignored them would not do what its file says. They get a message of their
 * own, so that nobody looks for a spelling mistake.
 */
const VALUES: ReadonlySet<string> = new Set(['source.type=debezium'])

export const NOT_YET = 'not supported by this version yet'

/** True for a value that a later version will take in this field. */
export function isValueNotYet(kind: string, path: readonly (string | number)[], value: string): boolean {
  return VALUES.has(`${[kind, ...path].join('.')}=${value}`)
}

/**
 * The fields and values that docs/REFERENCE.md lists as not supported by this version yet. The decoder
 * refuses them, since a sync that ignored them would not do what its file says. They get a message of their
 * own, so that nobody looks for a spelling mistake.
 */
const FIELDS: ReadonlySet<string> = new Set([
  'sync.paused',
  'sync.schedule.every',
  'sync.schedule.cron',
  'sync.schedule.timezone',
])
const VALUES: ReadonlySet<string> = new Set(['source.type=debezium'])

export const NOT_YET = 'not supported by this version yet'

function fieldKey(kind: string, path: readonly (string | number)[]): string {
  const parts = path.map((part, index) => (index === 1 && path[0] === 'triggers' ? '*' : String(part)))
  return [kind, ...parts].join('.')
}

/** True for a field that a later version will have. */
export function isFieldNotYet(kind: string, path: readonly (string | number)[]): boolean {
  return FIELDS.has(fieldKey(kind, path))
}

/** True for a value that a later version will take in this field. */
export function isValueNotYet(kind: string, path: readonly (string | number)[], value: string): boolean {
  return VALUES.has(`${fieldKey(kind, path)}=${value}`)
}

/** True for a field that a later version will also take as a map, as in `schedule: { every: 15m }`. */
export function isMapNotYet(kind: string, path: readonly (string | number)[]): boolean {
  const prefix = `${fieldKey(kind, path)}.`
  return [...FIELDS].some(field => field.startsWith(prefix))
}

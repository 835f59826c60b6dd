/**
 * The checks of `sluice upgrade --check`: what this version does with what another version has written. Each
 * is a pure function of what was found.
 */
import { SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import type { UpgradeView } from '@sluice/contracts/operator-views'
import { differencesInShape, incompatibilities } from '@sluice/schema-codec/compatibility'
import type { SubjectSchema } from '@sluice/schema-codec/port'
import type { Check } from './check.ts'

export type UpgradeCheck = UpgradeView['checks'][number]

export function kept(check: string, found: string): UpgradeCheck {
  return { check, status: 'ok', found, advice: null, effect: 'kept' }
}

export function rebuilt(check: string, found: string, advice: string): UpgradeCheck {
  return { check, status: 'warning', found, advice, effect: 'rebuilt' }
}

export function byHand(check: string, found: string, advice: string): UpgradeCheck {
  return { check, status: 'problem', found, advice, effect: 'by-hand' }
}

export function refused(check: string, found: string, advice: string): UpgradeCheck {
  return { check, status: 'problem', found, advice, effect: 'refused' }
}

/** A check of `sluice doctor` that stands in the way of an upgrade, too. */
export function asUpgradeCheck(check: Check): UpgradeCheck {
  const effects = { ok: 'kept', warning: null, problem: 'by-hand', unreachable: null } as const
  return { ...check, effect: effects[check.status] }
}

/** The oldest version that can go on with what this version has written. */
export const OLDEST_BACK = '0.1.0'

/** Compares what wrote last with this version. Null stands for a version that left no mark. */
export function versionCheck(writtenBy: string | null, version: string): UpgradeCheck {
  if (writtenBy === null)
    return kept('version', `this is Sluice ${version}; before 0.2.0, a version left no mark of itself`)
  if (!isLater(writtenBy, version))
    return kept('version', `this is Sluice ${version}, and Sluice ${writtenBy} was here last`)
  return {
    check: 'version',
    status: 'warning',
    found: `this is Sluice ${version}, and the later Sluice ${writtenBy} was here last: this is a downgrade`,
    advice: 'fields of resources that only the later version knows have to go first',
    effect: null,
  }
}

/** True if version `a` comes after `b`. What follows a hyphen does not count. */
export function isLater(a: string, b: string): boolean {
  const numbers = (version: string): readonly number[] => version.replace(/-.*/, '').split('.').map(Number)
  const [ours, theirs] = [numbers(a), numbers(b)]
  for (const [place, number] of ours.entries()) {
    const other = theirs[place] ?? 0
    if (number !== other) return number > other
  }
  return false
}

const LATER_VERSION =
  'install the version that wrote them again, or restore a backup that was made before it (`sluice restore`)'

/**
 * Compares the schemas that all syncs share with those of this version. `subjects` may have others, too, such
 * as those of changes, of which any may follow another.
 */
export function schemaChecks(subjects: readonly SubjectSchema[], prefix: string): readonly UpgradeCheck[] {
  const ours: { readonly [name: string]: AvroRecordSchema } = SCHEMAS
  const shared = subjects.flatMap(({ subject, schema }) => {
    const name = subject.startsWith(`${prefix}.`) ? subject.slice(prefix.length + 1) : '.'
    return name.includes('.') ? [] : [{ name, schema }]
  })
  const unknown = shared.filter(({ name }) => ours[name] === undefined).map(({ name }) => name)
  const unread: string[] = []
  let same = 0
  let others = 0
  for (const { name, schema } of shared) {
    const mine = ours[name]
    if (mine === undefined) continue
    const differences = [...incompatibilities(mine, schema), ...differencesInShape(mine, schema)]
    if (differences.length > 0) unread.push(`${name} (${[...new Set(differences.map(placeOf))].join(', ')})`)
    else if (JSON.stringify(mine) === JSON.stringify(schema)) same += 1
    else others += 1
  }
  const checks: UpgradeCheck[] = []
  if (unread.length > 0)
    checks.push(
      refused('schemas', `this version cannot read these records: ${unread.join(', ')}`, LATER_VERSION),
    )
  if (unknown.length > 0)
    checks.push(
      refused('schemas', `this version does not know these records: ${unknown.join(', ')}`, LATER_VERSION),
    )
  if (checks.length > 0) return checks
  const added = others === 0 ? '' : `; ${others} of another version ${others === 1 ? 'fits' : 'fit'}, too`
  return [kept('schemas', `${countOf(same, 'record')} with the schema of this version${added}`)]
}

function placeOf({ path }: { readonly path: string }): string {
  return path === '' ? 'the record' : path
}

/** `unreadable` names stored resources that this version does not accept. */
export function resourceChecks(count: number, unreadable: readonly string[]): readonly UpgradeCheck[] {
  if (unreadable.length === 0) return [kept('resources', `${countOf(count, 'stored resource')} can be read`)]
  const advice = 'change their files as `sluice validate` says, and `sluice apply` them'
  return [byHand('resources', `this version does not accept ${unreadable.join(', ')}`, advice)]
}

/** `open` counts the runs that have not ended, and `held` those of them that wait for an approval. */
export function runsCheck({ open, held }: { readonly open: number; readonly held: number }): UpgradeCheck {
  if (open === 0) return kept('runs', 'no run is open')
  const waits = held === 0 ? '' : `, ${held} of them held`
  return kept('runs', `${countOf(open, 'run')} open${waits}: this version takes over what they have left`)
}

/** `closed` names secrets and logins that the key here does not open. */
export function vaultCheck(count: number, closed: readonly string[]): UpgradeCheck {
  if (closed.length > 0)
    return byHand(
      'vault',
      `the key here does not open ${closed.join(', ')}`,
      'put back the key that they were set with, or set them again',
    )
  return kept('vault', count === 0 ? 'has no secret' : `the key here opens ${countOf(count, 'secret')}`)
}

export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

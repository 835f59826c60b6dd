/** Plans how stored resources change when others are applied. It is pure: it reads and writes nothing. */
import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import type { ChangesView, ChangeView, FieldChange } from '@sluice/contracts/api/resources'
import type { Owner, ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError, VersionConflict, type ErrorDetail } from '@sluice/contracts/errors'
import { isResourceKind, RESOURCE_SCHEMAS, type ResourceSpec } from '@sluice/contracts/resources'
import { isOf, isSameSpec, ownerOf, type ResourceChange } from '@sluice/resources/change-resources'
import { isFields, specOf, writtenFields } from './written-resource.ts'
import type { ProjectResources, WrittenResource } from '../port.ts'

export type Stored = ReadonlyMap<string, ResourceRecord>

/** The kinds. Each comes after the kinds that it refers to. */
const ORDER: readonly string[] = ['source', 'destination', 'model', 'sync', 'alert']

export interface Plan extends ChangesView {
  readonly records: readonly ResourceChange[]
}

/**
 * The changes that make the resources of a project equal to the given ones. An equal resource that was
 * written on the server joins the project. Throws `conflict` with the names of resources that belong to
 * others, unless they are taken over. Also throws `conflict` if another resource uses a resource that would
 * be deleted.
 */
export function planApply(stored: Stored, applied: ProjectResources): Plan {
  const { project, folder, resources, prune, takeOver } = applied
  const changes: ChangeView[] = []
  const records: ResourceChange[] = []
  const others: ResourceRecord[] = []
  for (const spec of resources.map(appliedResource).sort(byKind)) {
    const { kind, name } = spec
    const before = stored.get(`${kind}/${name}`)
    const written = JSON.stringify(spec)
    const isSame = before !== undefined && isSameSpec(before.spec, written)
    const next = { project, folder, spec: written, text: isSame ? before.text : null }
    if (isSame && before.project === project) continue
    records.push({ kind, name, next })
    if (before === undefined) {
      changes.push({ kind, name, action: 'create', fields: [] })
      continue
    }
    if (ownerOf(before, written, applied) === 'others' && !takeOver) others.push(before)
    const values = isSame ? [] : differences(specOf(before), spec)
    const taken = isOf(before, applied) ? {} : { takenFrom: before.project }
    changes.push({ kind, name, action: 'update', fields: values.map(({ field }) => field), values, ...taken })
  }
  if (prune) {
    const kept = new Set(resources.map(({ kind, name }) => `${kind}/${name}`))
    const gone = [...stored.values()].filter(
      record => isResourceKind(record.kind) && isOf(record, applied) && !kept.has(keyOf(record)),
    )
    for (const { kind, name } of gone.sort(byKind).reverse()) {
      records.push({ kind, name, next: null })
      if (isResourceKind(kind)) changes.push({ kind, name, action: 'delete', fields: [] })
    }
  }
  if (others.length > 0) throw new SluiceError('conflict', othersText(others, applied))
  assertUnused(stored, records)
  return { changes, records }
}

/** Checks the shape of a resource again, although its sender has checked it, too. */
function appliedResource({ kind, name, spec }: WrittenResource): ResourceSpec {
  const schema: z.ZodType<ResourceSpec> = RESOURCE_SCHEMAS[kind]
  const parsed = schema.safeParse({ ...spec, kind, name })
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map(({ path, message }) => ({
    field: path.map(String).join('.'),
    message: `${kind} \`${name}\`: wanted ${message}`,
  }))
  throw new SluiceError('config', `The ${kind} \`${name}\` is not right: ${details[0]?.message ?? ''}`, {
    details,
  })
}

/** A message names at most this many resources of an owner. */
const MAX_NAMED = 6

/** Says who owns these resources, and what people can do if their folder uses the same names. */
export function othersText(others: readonly ResourceRecord[], owner: Owner): string {
  const whose = whoseText(others, owner)
  return `${whose.charAt(0).toUpperCase()}${whose.slice(1)}. Nothing was changed and nothing was sent. ${waysOut(others)}`
}

/**
 * Returns the notice about resources of other owners that a command does not need, and therefore does not
 * change.
 */
export function leftText(others: readonly ResourceRecord[], owner: Owner): string {
  return `${whoseText(others, owner)}: what is stored stays as it is. ${waysOut(others)}`
}

function whoseText(others: readonly ResourceRecord[], { project, folder = null }: Owner): string {
  const byOwner = Map.groupBy(others, storedBy)
  const parts = [...byOwner].map(([by, records]) => {
    const some = records.slice(0, MAX_NAMED).map(({ kind, name }) => `the ${kind} \`${name}\``)
    const all = records.length > MAX_NAMED ? [...some, `${records.length - MAX_NAMED} more`] : some
    const names = [all.slice(0, -1).join(', '), ...all.slice(-1)].filter(Boolean).join(' and ')
    return records.length === 1
      ? `${names} ${by}`
      : `${names} ${by.replace(/^was/, 'were').replace(/^belongs/, 'belong')}`
  })
  const here =
    folder === null ? `the project \`${project}\`` : `${folder}, whose project has no name of its own`
  return `${parts.join('; ')}, and this folder is ${here}`
}

function waysOut(others: readonly ResourceRecord[]): string {
  const first = others.find(({ project }) => project !== '')
  const way =
    first === undefined
      ? '`sluice diff --take-over` shows what differs.'
      : `If both are one project, give it one name: \`kind: project\` with \`name: ${first.project}\` first in sluice.yaml. If they are two, give the resources of this folder other names.`
  return `${way} \`sluice apply --take-over\` overwrites the stored resources with those of this folder.`
}

function storedBy({ project, folder, by }: ResourceRecord): string {
  if (project === '') return by === null ? 'was written on the server' : `was written on the server by ${by}`
  return `belongs to the project \`${project}\`${folder === null ? '' : ` of ${folder}`}`
}

/** Throws `conflict` for a change of a resource that comes from the folder of a project. */
export function assertOwn(before: ResourceRecord | undefined, takeOver: boolean): void {
  if (before === undefined || before.project === '' || takeOver) return
  const { kind, name, project } = before
  throw new SluiceError(
    'conflict',
    `The ${kind} \`${name}\` comes from the folder of the project \`${project}\`: change it there and \`sluice apply\`, or make it the server's own with \`--take-over\` (\`takeOver: true\` in the API).`,
  )
}

/**
 * Throws `conflict`, with the fields that differ, if the resource has changed since the version that the
 * caller knows.
 */
export function assertVersion(
  found: { readonly version: number; readonly fields: readonly string[]; readonly by: string | null },
  {
    kind,
    name,
    version,
  }: { readonly kind: string; readonly name: string; readonly version: number | undefined },
): void {
  if (version === undefined || version === found.version) return
  const versions = { yours: version, present: found.version }
  const what = `The ${kind} \`${name}\``
  if (found.version === 0)
    throw new VersionConflict(
      `${what} does not exist any more, and your change is based on version ${version}.`,
      { versions },
    )
  const who = found.by === null ? 'Somebody' : found.by
  const differs = found.fields.length === 0 ? '' : ` What differs since: ${found.fields.join(', ')}.`
  const details: ErrorDetail[] = found.fields.map(field => ({ field, message: 'was changed meanwhile' }))
  const based = version === 0 ? 'expects none' : `is based on version ${version}`
  throw new VersionConflict(
    `${what} is at version ${found.version}, and your change ${based}. ${who} has changed it: read the present version, and make your change to it.${differs}`,
    { versions, details },
  )
}

/** Throws `conflict` if a resource that stays uses one that is deleted. */
export function assertUnused(stored: Stored, changes: readonly ResourceChange[]): void {
  const gone = new Set(changes.filter(({ next }) => next === null).map(keyOf))
  // Most changes delete nothing, and it takes long to read all stored resources.
  if (gone.size === 0) return
  const after = new Map<string, ResourceSpec>()
  for (const record of stored.values()) {
    const spec = isResourceKind(record.kind) ? specOf(record) : null
    if (spec !== null && !gone.has(keyOf(record))) after.set(keyOf(record), spec)
  }
  for (const { kind, name, next } of changes) {
    const spec = next === null ? null : specOf({ kind, name, spec: next.spec })
    if (spec !== null) after.set(`${kind}/${name}`, spec)
  }
  const users = [...after.values()].flatMap(spec =>
    referencesOf(spec).flatMap(key =>
      gone.has(key) ? [`the ${key.replace('/', ' `')}\` is used by the ${spec.kind} \`${spec.name}\``] : [],
    ),
  )
  if (users.length === 0) return
  throw new SluiceError('conflict', `Nothing is deleted, since others use it: ${users.join('; ')}.`)
}

/** The keys of the resources that this one refers to. */
function referencesOf(spec: ResourceSpec): string[] {
  switch (spec.kind) {
    case 'model':
      return [`source/${spec.source}`]
    case 'sync':
      return [`model/${spec.model}`, `destination/${spec.destination}`]
    case 'alert':
      return spec.syncs === 'all' ? [] : spec.syncs.map(sync => `sync/${sync}`)
    case 'source':
    case 'destination':
      return []
    default:
      return spec satisfies never
  }
}

/** The fields that differ, by the names that messages use, with their values as people write them. */
export function differences(before: ResourceSpec | null, after: ResourceSpec | null): FieldChange[] {
  return fieldDifferences(
    before === null ? {} : writtenFields(before),
    after === null ? {} : writtenFields(after),
  )
}

function fieldDifferences(
  before: { readonly [name: string]: unknown },
  after: { readonly [name: string]: unknown },
  path = '',
): FieldChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.flatMap(name => {
    const one = before[name]
    const other = after[name]
    if (isDeepStrictEqual(one, other)) return []
    const field = path === '' ? name : `${path}.${name}`
    if (isFields(one) && isFields(other)) return fieldDifferences(one, other, field)
    return [
      {
        field,
        ...(one === undefined ? {} : { before: one }),
        ...(other === undefined ? {} : { after: other }),
      },
    ]
  })
}

function keyOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind}/${name}`
}

function byKind(
  one: { readonly kind: string; readonly name: string },
  other: { readonly kind: string; readonly name: string },
): number {
  return ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind) || (one.name < other.name ? -1 : 1)
}

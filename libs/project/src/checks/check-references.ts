/**
 * Checks all resources of a folder together: finds names that occur twice, references to resources that do
 * not exist, and models that do not fit their source.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { AlertSpec, ResourceKind, SyncSpec } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'
import { nearestName } from '@sluice/domain/nearest-name'
import type { DecodedResource } from '../decode/decoded.ts'
import { detailAt, fieldName, type FieldPath } from '../decode/places.ts'

/**
 * The texts of resources that could not be read. A resource that seems to be missing may be in one of these
 * texts. Null stands for a resource whose text is not known.
 */
export type HidingTexts = Iterable<string | null>

/**
 * The problems between resources. A reference to a resource with mistakes is right, and so is a reference to
 * a name in a text that could not be read. So one mistake is not reported again as a dangling reference.
 */
export function checkReferences(decoded: readonly DecodedResource[], hiding: HidingTexts): ErrorDetail[] {
  const namesOf = new Map<string, Set<string>>()
  for (const { kind, name } of decoded) {
    const names = namesOf.get(kind) ?? new Set()
    namesOf.set(kind, names.add(name ?? ''))
  }
  const find = { namesOf, mayExist: hiddenNames(decoded, hiding), hints: { left: MAX_HINTS } }
  return [
    ...duplicateNames(decoded),
    ...decoded.flatMap(resource => danglingReferences(resource, find)),
    ...misplacedTopics(decoded),
    ...sqlOverTables(decoded),
  ]
}

/** The models that name a topic of a source without topics, or none of a source of type `kafka`. */
function misplacedTopics(decoded: readonly DecodedResource[]): ErrorDetail[] {
  const types = new Map(
    decoded.flatMap(({ spec }) => (spec?.kind === 'source' ? [[spec.name, spec.type] as const] : [])),
  )
  return decoded.flatMap(resource => {
    const { spec } = resource
    const type = spec?.kind === 'model' ? types.get(spec.source) : undefined
    if (spec?.kind !== 'model' || type === undefined) return []
    const hasTopic = spec.topic !== undefined
    if (hasTopic === (type === 'kafka')) return []
    const field = hasTopic ? 'topic' : spec.table === undefined ? 'sql' : 'table'
    const wanted = hasTopic ? '`sql` or `table`' : '`topic`'
    const message = `model \`${spec.name}\`: wanted ${wanted}, since source \`${spec.source}\` is of type ${type}, found \`${field}\``
    return [detailAt(placeOf(resource, [field]), [field], message)]
  })
}

/** The models with SQL over a table whose source does not follow its tables. */
function sqlOverTables(decoded: readonly DecodedResource[]): ErrorDetail[] {
  const follows = new Map(
    decoded.flatMap(({ spec }) =>
      spec?.kind === 'source'
        ? [[spec.name, spec.type === 'postgres' && spec.follow !== undefined] as const]
        : [],
    ),
  )
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'model' || spec.table === undefined || spec.sql === undefined) return []
    if (follows.get(spec.source) !== false) return []
    const message = `model \`${spec.name}\`: wanted either \`sql\` or \`table\`, since source \`${spec.source}\` has no \`follow\`, found both`
    return [detailAt(placeOf(resource, ['table']), ['table'], message)]
  })
}

interface Finding {
  /** By kind. */
  readonly namesOf: ReadonlyMap<string, ReadonlySet<string>>
  /** Returns true if an unreadable resource may have this kind and name. */
  readonly mayExist: (kind: ResourceKind, name: string) => boolean
  readonly hints: { left: number }
}

function hiddenNames(decoded: readonly DecodedResource[], hiding: HidingTexts): Finding['mayExist'] {
  const texts = [...hiding]
  const words = new Set(texts.flatMap(text => text?.split(/[^\w-]+/) ?? []))
  const nameless = new Set(decoded.filter(hasDoubtfulName).map(({ kind }) => kind))
  return (kind, name) => texts.includes(null) || words.has(name) || nameless.has(kind)
}

function hasDoubtfulName({ name, problems }: DecodedResource): boolean {
  return name === null || problems.some(({ field }) => field === 'name')
}

/** True if the kind or name of the resource is wrong. A dangling reference may then mean this resource. */
export function isDoubtful(resource: DecodedResource): boolean {
  return hasDoubtfulName(resource) || hasDoubtfulKind(resource)
}

/** True for an unknown kind, or for two resources that were written as one. */
export function hasDoubtfulKind({ problems }: DecodedResource): boolean {
  return problems.some(({ field }) => field === 'kind')
}

function duplicateNames(decoded: readonly DecodedResource[]): ErrorDetail[] {
  const first = new Map<string, DecodedResource>()
  const problems: ErrorDetail[] = []
  for (const resource of decoded) {
    if (resource.name === null) continue
    const key = `${resource.kind}/${resource.name}`
    const earlier = first.get(key)
    if (earlier === undefined) first.set(key, resource)
    else {
      const { file, line } = placeOf(earlier, ['name'])
      const message = `another ${resource.kind} is already called \`${resource.name}\`, in ${file} line ${line}; names are unique per kind`
      problems.push(detailAt(placeOf(resource, ['name']), ['name'], message))
    }
  }
  return problems
}

/** A hint compares a name with all others, so at most this many hints are computed. */
const MAX_HINTS = 100

function danglingReferences(resource: DecodedResource, { namesOf, mayExist, hints }: Finding): ErrorDetail[] {
  const { kind, name, spec, texts } = resource
  const problems = (REFERENCES.get(kind) ?? []).flatMap(field => {
    const wanted = texts.get(field)
    const names = namesOf.get(field) ?? new Set()
    if (wanted === undefined || names.has(wanted) || mayExist(field, wanted)) return []
    const said = hints.left > 0 ? hint(wanted, field, [...names]) : ''
    hints.left -= 1
    const message = `${kind} \`${name ?? ''}\`: there is no ${field} \`${wanted}\`${said}`
    return [detailAt(placeOf(resource, [field]), [field], message)]
  })
  if (spec?.kind === 'alert')
    return [...problems, ...unknownSyncs(spec, { resource, namesOf, mayExist, hints })]
  return spec?.kind === 'sync' ? [...problems, ...danglingTriggers(spec, resource)] : problems
}

/** The syncs that an alert names and the folder does not have. */
function unknownSyncs(
  { name, syncs }: AlertSpec,
  { resource, namesOf, mayExist, hints }: Finding & { readonly resource: DecodedResource },
): ErrorDetail[] {
  if (syncs === 'all') return []
  const names = namesOf.get('sync') ?? new Set()
  return syncs.flatMap((sync, index) => {
    if (names.has(sync) || mayExist('sync', sync)) return []
    const said = hints.left > 0 ? hint(sync, 'sync', [...names]) : ''
    hints.left -= 1
    const path: FieldPath = ['syncs', index]
    return [detailAt(placeOf(resource, path), path, `alert \`${name}\`: there is no sync \`${sync}\`${said}`)]
  })
}

/**
 * The fields that name another resource, by kind. A field is called like the kind that it refers to. This is
 * a map, since a kind in a file may be any word, such as `constructor`.
 */
export const REFERENCES: ReadonlyMap<string, readonly ResourceKind[]> = new Map<
  string,
  readonly ResourceKind[]
>([
  ['model', ['source']],
  ['sync', ['model', 'destination']],
])

function hint(name: string, kind: string, names: readonly string[]): string {
  const near = nearestName(name, names)
  if (near !== null) return `; did you mean \`${near}\`?`
  const known = names.filter(other => other !== '').map(other => `\`${other}\``)
  if (known.length === 0) return `; no ${kind} is defined in this folder`
  return `; the ${kind}s here are ${known.slice(0, 10).join(', ')}${known.length > 10 ? ', …' : ''}`
}

/** A trigger may name another trigger. The chain of names has to end at a trigger that is written out. */
function danglingTriggers(spec: SyncSpec, resource: DecodedResource): ErrorDetail[] {
  const problems: ErrorDetail[] = []
  for (const op of OPS) {
    const seen = new Set<Op>([op])
    let target = spec.triggers[op]
    while (typeof target === 'string') {
      const next: Op = target
      target = spec.triggers[next]
      if (target !== undefined && !seen.has(next)) {
        seen.add(next)
        continue
      }
      const path: FieldPath = ['triggers', op]
      const defined = OPS.filter(other => typeof spec.triggers[other] === 'object').map(
        other => `\`${other}\``,
      )
      const wanted =
        defined.length === 0 ? 'write one out' : `the triggers that are written out: ${defined.join(', ')}`
      const message =
        target === undefined
          ? `\`${op}: ${next}\` names a trigger that this sync does not have; ${wanted}`
          : `\`${op}: ${next}\` leads back to itself; ${wanted}`
      problems.push(detailAt(placeOf(resource, path), path, `sync \`${spec.name}\`: ${message}`))
      break
    }
  }
  return problems
}

export function placeOf(resource: DecodedResource, path: FieldPath) {
  const field = fieldName(path)
  const origin = resource.origins.get(field) ?? resource.origins.get('')
  return origin?.place ?? { file: '', line: 1, column: 1 }
}

/** A project folder as loaded: its resources, and where each of their fields was written. */
import type { Owner } from '@sluice/contracts/document-records'
import { type ErrorDetail, SluiceError } from '@sluice/contracts/errors'
import type { ResourceKind, ResourceSpec, Definition } from '@sluice/contracts/resources'
import { lookUpDefinition } from '@sluice/domain/definition'
import { nearestName } from '@sluice/domain/nearest-name'
import type { FieldOrigin } from './decode/decoded.ts'
import type { SkippedDocument } from './files/read-documents.ts'
import { list } from './decode/places.ts'

const SHOWN_NAMES = 10

/**
 * Puts a sync of a project together with everything that it refers to, as a run pins it (R15). For a sync
 * that the project does not have, it throws `not-found` with the nearest name. For a sync that cannot be
 * used, it throws `config` with the reasons.
 */
export function resolveDefinition(project: Project, syncName: string): Definition {
  const found = lookUpDefinition((kind, name) => project.resources.get(resourceKey(kind, name)), syncName)
  if (found.kind === 'found') return found.definition
  const blocked = project.blocked.get(resourceKey('sync', syncName))
  if (blocked !== undefined) throw unusable(syncName, blocked)
  if (found.resource === 'sync') throw syncNotFound(project, syncName)
  throw new SluiceError('internal', `A loaded project lacks the ${found.resource} \`${found.name}\`.`)
}

function unusable(name: string, details: readonly ErrorDetail[]): SluiceError {
  const errors = details.length === 1 ? 'an error' : `${details.length} errors`
  return new SluiceError(
    'config',
    `The sync \`${name}\` cannot be used: it, or a resource that it uses, has ${errors}.`,
    { details },
  )
}

function syncNotFound(project: Project, name: string): SluiceError {
  const { unread } = project
  if (unread.length > 0) {
    const message = `There is no sync \`${name}\` in the files of ${project.dir} that can be read. The others have errors.`
    return new SluiceError('config', message, { details: unread })
  }
  return new SluiceError('not-found', `There is no sync \`${name}\`: ${syncHint(project, name)}`)
}

function syncHint(project: Project, name: string): string {
  const names = namesOf(project, 'sync')
  if (names.length === 0) return `no sync is defined in ${project.dir}; \`sluice init\` writes a first one`
  const near = nearestName(name, names)
  if (near !== null) return `did you mean \`${near}\`?`
  return `the syncs here are ${list(names.slice(0, SHOWN_NAMES))}${names.length > SHOWN_NAMES ? ', …' : ''}`
}

/** The key of a resource in a project: `sync/algolia-synonyms`. */
export type ResourceKey = `${ResourceKind}/${string}`

export interface Project {
  /** The project folder, absolute. */
  readonly dir: string
  /**
   * Distinguishes its resources from other projects' resources: the name in `kind: project`, else the folder.
   */
  readonly owner: Owner
  /** By kind/name, in the order of files and documents. Paths of sources are absolute. */
  readonly resources: ReadonlyMap<ResourceKey, ResourceSpec>
  /** Resources that cannot be used, with the reason. Empty if the whole folder had to be right. */
  readonly blocked: ReadonlyMap<ResourceKey, readonly ErrorDetail[]>
  /** Mistakes that hide which resources a file has. */
  readonly unread: readonly ErrorDetail[]
  /** Documents that other tools wrote, in file order. */
  readonly skipped: readonly SkippedDocument[]
  /**
   * The places of each resource's fields, by field name as messages write it (`triggers.added.path`). `''` is
   * the whole resource.
   */
  readonly origins: ReadonlyMap<ResourceKey, ReadonlyMap<string, FieldOrigin>>
}

export function resourceKey(kind: ResourceKind, name: string): ResourceKey {
  return `${kind}/${name}`
}

/** The names of a project's resources of one kind, in order. */
export function namesOf(project: Pick<Project, 'resources'>, kind: ResourceKind): string[] {
  return [...project.resources.values()].filter(spec => spec.kind === kind).map(spec => spec.name)
}

/** A project folder as loaded: its resources, and where each of their fields was written. */
import type { ResourceKind, ResourceSpec } from '@sluice/contracts/resources'
import type { FieldOrigin } from './decode/decode-resource.ts'
import type { SkippedDocument } from './files/read-documents.ts'

/** How a resource is known in a project: `sync/algolia-synonyms`. */
export type ResourceKey = `${ResourceKind}/${string}`

export interface Project {
  /** The project folder, absolute. */
  readonly dir: string
  /** The folder's name, which tells its resources from those of other projects. */
  readonly name: string
  /** By kind/name, in the order of files and documents. Paths of sources are absolute. */
  readonly resources: ReadonlyMap<ResourceKey, ResourceSpec>
  /** Documents that other tools wrote, in file order. */
  readonly skipped: readonly SkippedDocument[]
  /**
   * Where the fields of each resource stand, by field name as messages have it (`triggers.added.path`; `''`
   * is the whole).
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

/** A project folder as loaded: its resources, and where each of their fields was written. */
import type { Owner } from '@sluice/contracts/document-records'
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { ResourceKind, ResourceSpec } from '@sluice/contracts/resources'
import type { FieldOrigin } from './decode/decoded.ts'
import type { SkippedDocument } from './files/read-documents.ts'

/** The key of a resource in a project: `sync/algolia-synonyms`. */
export type ResourceKey = `${ResourceKind}/${string}`

export interface Project {
  /** The project folder, absolute. */
  readonly dir: string
  /**
   * Distinguishes its resources from those of other projects: by the name that `kind: project` says, else by
   * the folder.
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

/** Looks up resources: in a project that was loaded, or in the log. */
import type { ResourceView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Owner, ResourceRecord } from '@sluice/contracts/document-records'
import { isResourceKind, type Definition, type ResourceSpec } from '@sluice/contracts/resources'
import { inTurns } from '@sluice/flow/sleep'
import { namesOf, resourceKey, type Project, resolveDefinition } from '@sluice/project/project'
import { othersAmong, writeResources, type OwnedResource } from '@sluice/resources/change-resources'
import { definitionAmong } from '@sluice/resources/stored-documents'
import { readResources, readStored, type StoredResources } from '@sluice/resources/stored-resources'
import { at, sharedTopics } from '@sluice/topics/topics'
import type { Pipeline } from './pipeline.ts'
import { KeptRead } from './resources/kept-read.ts'
import { placedError } from './resources/placed-error.ts'
import { specOf, storedView } from './resources/written-resource.ts'
import { unknownSync } from './unknown-names.ts'

export interface Catalog {
  /** The names of all syncs. */
  syncs(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Throws `not-found` for a sync that does not exist. */
  definition(sync: string, signal: AbortSignal): Promise<Definition>
  resources(signal: AbortSignal): Promise<readonly ResourceSpec[]>
  /**
   * The resources, with author and time of their present versions if known. Absent if the catalog shows
   * files.
   */
  readonly views?: (signal: AbortSignal) => Promise<readonly ResourceView[]>
  /**
   * Reads the resources of the log, with earlier versions if `withPast`. Callers must not change the answer.
   * Absent if the catalog shows files.
   */
  readonly stored?: (extent: { readonly withPast: boolean }, signal: AbortSignal) => Promise<StoredResources>
  /** Adds places in files to an error of a definition. Absent if the resources come from no files. */
  readonly placed?: (error: unknown, definition: Definition) => unknown
  /**
   * Writes the resources into the log, so that the services see them. Resolves with the resources of other
   * owners, which stay unchanged in the log.
   */
  publish(pipeline: Topics, signal: AbortSignal): Promise<Others | null>
  /**
   * Resolves with the resources of other owners, and writes nothing. Absent if the resources come from the
   * log.
   */
  readonly others?: (pipeline: Topics, signal: AbortSignal) => Promise<Others>
}

type Topics = Pick<Pipeline, 'log' | 'io' | 'prefix'>

/** Resources of the log that have the names of a project's resources, but belong to other owners. */
export interface Others {
  readonly owner: Owner
  readonly records: readonly ResourceRecord[]
}

/** The resources of a project, which each command publishes. */
export function projectCatalog(project: Project): Catalog {
  const { owner } = project
  const records = recordsOf(project)
  return {
    syncs: () => Promise.resolve(new Set(namesOf(project, 'sync'))),
    definition: async sync => resolveDefinition(project, sync),
    resources: () => Promise.resolve([...project.resources.values()]),
    placed: (error, definition) =>
      placedError(error, definition, (kind, name) => project.origins.get(resourceKey(kind, name))),
    publish: async (pipeline, signal) => {
      const { others } = await writeResources(pipeline, records, { owner, signal })
      return { owner, records: others }
    },
    others: async (pipeline, signal) => {
      const stored = await readResources(pipeline, { signal })
      return { owner, records: othersAmong(stored, records, owner) }
    },
  }
}

/**
 * Makes a catalog that loads the project at the first call. Each method throws the error of a failed load.
 */
export function unloadedCatalog(load: () => Promise<Project>): Catalog {
  let loaded: Promise<Catalog> | null = null
  const catalog = (): Promise<Catalog> => (loaded ??= load().then(projectCatalog))
  return {
    syncs: async signal => (await catalog()).syncs(signal),
    definition: async (sync, signal) => (await catalog()).definition(sync, signal),
    resources: async signal => (await catalog()).resources(signal),
    publish: async (pipeline, signal) => (await catalog()).publish(pipeline, signal),
    others: async (pipeline, signal) => {
      const { others } = await catalog()
      if (others === undefined) throw new SluiceError('internal', 'a project knows what is its own')
      return await others(pipeline, signal)
    },
  }
}

/** The resources of the log. */
interface Present {
  readonly stored: StoredResources
  readonly records: readonly ResourceRecord[]
  /** The records that can be read. A run that needs another record fails. */
  readonly readable: readonly { readonly record: ResourceRecord; readonly spec: ResourceSpec }[]
  readonly specs: readonly ResourceSpec[]
  /** Made when a caller first asks for them. */
  views: Promise<readonly ResourceView[]> | null
}

/** At most this many characters of resources, and of their past, are kept between two requests. */
const MAX_KEPT_CHARACTERS = 16_000_000

/** The resources that projects have put into the log. They are read again only once something was written. */
export function storedCatalog(pipeline: Pick<Pipeline, 'log' | 'io' | 'prefix'>): Catalog {
  const target = at(sharedTopics(pipeline.prefix).resources, 0)
  const { log } = pipeline
  const present = new KeptRead({ log, target, isSmall: ({ stored }: Present) => isSmall(stored) }, signal =>
    readPresent(pipeline, signal),
  )
  const past = new KeptRead({ log, target, isSmall }, signal =>
    readStored(pipeline, { signal, withPast: true }),
  )
  return {
    syncs: async signal => syncsIn(await present.now(signal)),
    stored: async ({ withPast }, signal) =>
      withPast ? await past.now(signal) : (await present.now(signal)).stored,
    definition: async (sync, signal) => {
      const read = await present.now(signal)
      const known = syncsIn(read)
      if (!known.has(sync)) throw unknownSync(sync, known)
      return definitionAmong(read.stored.resources, sync)
    },
    resources: async signal => (await present.now(signal)).specs,
    views: async signal => {
      const read = await present.now(signal)
      read.views ??= viewsOf(read)
      return await read.views
    },
    publish: () => Promise.resolve(null),
  }
}

function syncsIn({ records }: Present): ReadonlySet<string> {
  return new Set(records.filter(({ kind }) => kind === 'sync').map(({ name }) => name))
}

function isSmall({ resources, past }: StoredResources): boolean {
  let characters = 0
  for (const records of [resources, past])
    for (const { spec, text } of records.values()) characters += spec.length + (text?.length ?? 0)
  return characters <= MAX_KEPT_CHARACTERS
}

async function readPresent(pipeline: Topics, signal: AbortSignal): Promise<Present> {
  const stored = await readStored(pipeline, { signal, withPast: false })
  const records = [...stored.resources.values()].filter(({ kind }) => isResourceKind(kind))
  const read = await inTurns(records, record => ({ record, spec: specOf(record) }))
  const readable = read.flatMap(({ record, spec }) => (spec === null ? [] : [{ record, spec }]))
  return { stored, records, readable, specs: readable.map(({ spec }) => spec), views: null }
}

function viewsOf({ readable }: Present): Promise<readonly ResourceView[]> {
  return inTurns(readable, ({ record, spec }) => storedView(record, spec))
}

/** The resources of a project, as the log has them. */
export function recordsOf(project: Project): OwnedResource[] {
  return [...project.resources.values()].map(spec => ({
    kind: spec.kind,
    name: spec.name,
    spec: JSON.stringify(spec),
  }))
}

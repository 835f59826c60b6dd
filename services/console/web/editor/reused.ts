/** The stored resources that a new sync uses by name: a source, a model, a destination. */
import type { Problem, ResourceView } from '@sluice/contracts/api'
import {
  fileOf,
  freeName,
  KINDS,
  nameIn,
  STARTING_DRAFT,
  textAt,
  withText,
  withValue,
  textOf,
  type Draft,
  type Kind,
} from './draft.ts'
import { titleIn } from '../ui/named.tsx'
import type { Start } from './use-editing.ts'

/** A stored resource that is edited, with the version that the edit started from. */
export type Stored = { readonly [kind in Kind]?: StoredResource }
export interface StoredResource extends Pick<ResourceView, 'name' | 'spec' | 'text'> {
  readonly kind: Kind
  /** Undefined if the server keeps no versions. */
  readonly version: number | undefined
  /** The project whose files it comes from. Empty if it comes from none. */
  readonly project: string
}

/** The kinds of resources that several syncs may share. */
const SHARED = ['source', 'model', 'destination'] as const
export type SharedKind = (typeof SHARED)[number]

export const isShared = (kind: Kind): kind is SharedKind => SHARED.some(each => each === kind)

type Resources = readonly ResourceView[]

const named = (resources: Resources, kind: Kind, name: string): ResourceView | undefined =>
  resources.find(each => each.kind === kind && each.name === name)

export const namesOf = (resources: Resources, kind: ResourceView['kind']): readonly string[] =>
  resources.filter(each => each.kind === kind).map(({ name }) => name)

/** A name as lists of choices show it: with the title before it, if there is one. */
export function labelOf(resources: Resources, kind: Kind, name: string): string {
  const title = titleIn(named(resources, kind, name)?.spec ?? {})
  return title === undefined ? name : `${title} (${name})`
}

/** The stored resources that a draft names. */
export function reusedBy(draft: Draft, resources: Resources): Stored {
  const found: { [kind in Kind]?: StoredResource } = {}
  for (const kind of SHARED) {
    const resource = named(resources, kind, nameIn(draft[kind]))
    if (resource === undefined) continue
    found[kind] = { ...resource, kind, version: resource.version, project: resource.project ?? '' }
  }
  return found
}

/**
 * The stored resources behind a draft. A name without a stored resource has version 0, with the draft's own
 * text.
 */
export function startBehind(draft: Draft, resources: Resources): Start {
  const found = reusedBy(draft, resources)
  const of = (kind: Kind): string => {
    const stored = found[kind]
    return stored === undefined ? draft[kind] : textOf(stored)
  }
  const versionOf = (kind: Kind): number | undefined => {
    const stored = found[kind]
    return stored === undefined ? 0 : stored.version
  }
  return {
    draft: { source: of('source'), model: of('model'), destination: of('destination'), sync: of('sync') },
    versions: Object.fromEntries(KINDS.map(kind => [kind, versionOf(kind)])),
  }
}

/** The draft with a stored resource in its place. A model brings the source that it reads from. */
export function withStored(draft: Draft, kind: SharedKind, resource: ResourceView, all: Resources): Draft {
  const changed = withText(draft, kind, textOf(resource))
  if (kind !== 'model') return changed
  const source = named(all, 'source', textAt(changed.model, ['source']))
  if (source === undefined) return changed
  return { ...changed, source: textOf(source) }
}

/** The draft with a new resource in the place of a stored one. */
export function withNew(draft: Draft, kind: SharedKind, resources: Resources): Draft {
  const text = freelyNamed(kind, resources)
  const source = nameIn(draft.source)
  return withText(draft, kind, kind === 'model' ? withValue(text, ['source'], source) : text)
}

/**
 * A first draft with free names for sync and model. It has no source and no destination yet if there are
 * stored ones, since only the user knows which one is meant.
 */
export function startingFrom(resources: Resources): Draft {
  let draft = STARTING_DRAFT
  for (const kind of ['sync', 'model'] as const) draft = withText(draft, kind, freelyNamed(kind, resources))
  for (const kind of ['source', 'destination'] as const)
    if (namesOf(resources, kind).length > 0) draft = withText(draft, kind, '')
  return draft
}

/** True for a kind that the user has still to choose. */
export const isUnchosen = (draft: Draft, kind: Kind): boolean => draft[kind] === ''

/** The problems of steps that were left without a choice. */
export function unchosen(draft: Draft, passed: readonly Kind[]): Problem['errors'] {
  return passed
    .filter(kind => isUnchosen(draft, kind))
    .map(kind => ({ file: fileOf(kind), message: `Choose a ${kind}, or make a new one.` }))
}

/**
 * The draft with a copy in the place of a stored resource. If other syncs use the model, a copy of the source
 * takes a copy of the model along, so that the other syncs keep their source.
 */
export function withCopy(draft: Draft, kind: SharedKind, resources: Resources): Draft {
  const others = (each: SharedKind): boolean =>
    syncsThatUse(each, nameIn(draft[each]), resources).some(sync => sync !== nameIn(draft.sync))
  const before = kind === 'source' && others('model') ? withCopy(draft, 'model', resources) : draft
  const name = freeName(nameIn(before[kind]), namesOf(resources, kind))
  return withText(before, kind, withValue(before[kind], ['name'], name))
}

function freelyNamed(kind: Kind, resources: Resources): string {
  const text = STARTING_DRAFT[kind]
  return withValue(text, ['name'], freeName(nameIn(text), namesOf(resources, kind)))
}

/** The names of the syncs that use a resource. A source is used through its models. */
export function syncsThatUse(
  kind: ResourceView['kind'],
  name: string,
  resources: Resources,
): readonly string[] {
  const naming = (by: Kind, field: string, names: readonly string[]): readonly string[] =>
    resources
      .filter(each => each.kind === by && names.includes(String(each.spec[field])))
      .map(each => each.name)
  if (kind === 'destination') return naming('sync', 'destination', [name])
  if (kind === 'model') return naming('sync', 'model', [name])
  return kind === 'source' ? naming('sync', 'model', naming('model', 'source', [name])) : []
}

/** The problem of a new sync that has the name of an existing one. */
export function takenName(draft: Draft, resources: Resources): Problem['errors'] {
  const name = nameIn(draft.sync)
  if (named(resources, 'sync', name) === undefined) return []
  return [{ file: fileOf('sync'), field: 'name', message: `There is a sync \`${name}\` already.` }]
}

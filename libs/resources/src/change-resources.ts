/**
 * Changes the stored resources. One process writes at a time: it fences the previous writer, reads what is
 * stored, and appends the change atomically. So the second of two concurrent changes sees the first one, and
 * a process that dies before its append has changed nothing (PROTOCOL.md §14).
 */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Owner, ResourceRecord, SetEntries } from '@sluice/contracts/document-records'
import { isResourceKind } from '@sluice/contracts/resources'
import {
  KEPT_TEXT_CHARACTERS,
  RECORD_CEILING_BYTES,
  RESOURCE_CEILING_BYTES,
} from '@sluice/domain/record-sizes'
import { ATOMIC_BYTES, RECORD_OVERHEAD_BYTES, type FencedWriter } from '@sluice/message-log/port'
import { plainMarker } from '@sluice/partition/take-over'
import { sleep } from '@sluice/flow/sleep'
import { at, markerKey, sharedTopics, textKey } from '@sluice/topics/topics'
import {
  assertFits,
  deletionKey,
  pastKey,
  plainRecord,
  readStored,
  setKey,
  versionOf,
  type ResourcesDeps,
  type StoredResources,
} from './stored-resources.ts'

/** A change of one resource. `next` is null if the resource is deleted. */
export interface ResourceChange {
  readonly kind: string
  readonly name: string
  readonly next: {
    readonly project: string
    readonly folder?: string | null | undefined
    readonly spec: string
    /**
     * The YAML that `spec` was read from; absent or null if there is none. A YAML text that is too long is
     * not kept.
     */
    readonly text?: string | null
  } | null
}

type Decide = (
  stored: StoredResources['resources'],
) => readonly ResourceChange[] | Promise<readonly ResourceChange[]>

export interface ChangeOptions {
  /** The name of the person or command that makes the change. */
  readonly by: string
  readonly signal: AbortSignal
  /** True if a deleted sync keeps its topics and its incarnation, so that it can come back. */
  readonly keepsState?: boolean
}

/** The log keeps this many earlier versions of each resource. */
export const PAST_KEPT = 50
/** A change is tried at most this many times while other processes fence it. */
const MAX_ATTEMPTS = 10
const PAUSE_MS = 20

/**
 * Makes all changes that `decide` returns for the stored resources, or none of them. Resolves with these
 * changes once the log has acknowledged them. `decide` may be called several times. If it throws, nothing
 * changes. Throws `conflict` for a sync that is being deleted.
 */
export async function changeResources(
  deps: ResourcesDeps,
  decide: Decide,
  options: ChangeOptions,
): Promise<readonly ResourceChange[]> {
  const { signal } = options
  const seen = await readStored(deps, { signal, withPast: false })
  // Usually nothing changes, and then no writer has to be fenced.
  if ((await decide(seen.resources)).length === 0) return []
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await changeOnce(deps, decide, options)
    } catch (error) {
      const mayPass = isSluiceError(error, 'fenced') || isSluiceError(error, 'writer-dead')
      if (!mayPass || attempts >= MAX_ATTEMPTS) throw error
    }
    await sleep(Math.random() * PAUSE_MS * attempts, { signal })
  }
}

/** A resource of a project. Its spec is JSON. */
export type OwnedResource = Pick<ResourceRecord, 'kind' | 'name' | 'spec'>

/**
 * Stores the resources of a project. Resources of other owners stay unchanged. With `isWhole`, it also
 * deletes the project's resources that are not given. A sync that is deleted in this way keeps its topics,
 * and can come back. Resolves with the number of written resources, and with the stored resources of the same
 * names that belong to other owners.
 */
export async function writeResources(
  deps: ResourcesDeps,
  resources: readonly OwnedResource[],
  options: {
    readonly owner: Owner
    readonly signal: AbortSignal
    readonly by?: string
    readonly isWhole?: boolean
  },
): Promise<{ readonly written: number; readonly others: readonly ResourceRecord[] }> {
  const { owner, signal, by = 'run', isWhole = false } = options
  let others: readonly ResourceRecord[] = []
  const decide: Decide = stored => {
    others = othersAmong(stored, resources, owner)
    const changes = resources.flatMap((resource): ResourceChange[] => {
      const before = stored.get(`${resource.kind}/${resource.name}`)
      if (before !== undefined && ownerOf(before, resource.spec, owner) === 'others') return []
      return isWritten(before, resource.spec, owner) ? [] : [changeTo(resource, owner)]
    })
    return isWhole ? [...changes, ...goneChanges(stored, resources, owner)] : changes
  }
  const changes = await changeResources(deps, decide, { by, signal, keepsState: isWhole })
  return { written: changes.length, others }
}

/** The stored resources of these names that belong to another owner. */
export function othersAmong(
  stored: StoredResources['resources'],
  resources: readonly OwnedResource[],
  owner: Owner,
): readonly ResourceRecord[] {
  return resources.flatMap(({ kind, name, spec }) => {
    const before = stored.get(`${kind}/${name}`)
    return before !== undefined && ownerOf(before, spec, owner) === 'others' ? [before] : []
  })
}

/**
 * Says who owns a stored resource that has the same name as a resource of the project.
 *
 * - An equal resource that was written on the server joins the project, since the folder may be an export of
 *   it.
 * - An unreadable resource counts as the project's own.
 * - Two projects that are named after their folders may have the same name by accident. A resource that
 *   differs then belongs to the other folder.
 */
export function ownerOf(before: ResourceRecord, spec: string, owner: Owner): 'own' | 'joins' | 'others' {
  const isSame = isSameSpec(before.spec, spec)
  if (before.spec === '' || isOf(before, owner)) return 'own'
  if (before.project === '') return isSame ? 'joins' : 'others'
  if (owner.isOnly === true) return 'joins'
  return isSame && before.project === owner.project ? 'own' : 'others'
}

/** True for a resource of the project. */
export function isOf({ project, folder }: ResourceRecord, owner: Owner): boolean {
  if (project !== owner.project) return false
  const own = owner.folder ?? null
  return own === null || folder === null || folder === own
}

function isWritten(before: ResourceRecord | undefined, spec: string, { project }: Owner): boolean {
  return before !== undefined && before.project === project && isSameSpec(before.spec, spec)
}

function changeTo(
  { kind, name, spec }: OwnedResource,
  { project, folder = null }: Owner,
): ResourceChange & { readonly next: object } {
  return { kind, name, next: { project, folder, spec } }
}

function goneChanges(
  stored: StoredResources['resources'],
  resources: readonly OwnedResource[],
  owner: Owner,
): readonly ResourceChange[] {
  const kept = new Set(resources.map(({ kind, name }) => `${kind}/${name}`))
  return [...stored].flatMap(([key, record]) => {
    const { kind, name } = record
    return key === `${kind}/${name}` && isResourceKind(kind) && isOf(record, owner) && !kept.has(key)
      ? [{ kind, name, next: null }]
      : []
  })
}

/** True for two texts that are the same JSON. */
export function isSameSpec(one: string, other: string): boolean {
  if (one === other) return true
  try {
    return isDeepStrictEqual(JSON.parse(one), JSON.parse(other))
  } catch {
    return false
  }
}

/**
 * Opens a writer of the topic `resources`, which fences the previous writer. Throws other errors as the log
 * does.
 */
export async function takeOver(
  { log, io, prefix }: ResourcesDeps,
  { writer: name, key }: { readonly writer: string; readonly key: string },
  signal: AbortSignal,
): Promise<FencedWriter> {
  const target = at(sharedTopics(prefix).resources, 0)
  const marker = io.encode('Marker', plainMarker('takeover', '', -1))
  const taken = io.signed(target.topic, { key: markerKey('takeover', key), value: marker })
  const writer = await log.openWriter(`${prefix}.${name}`, { signal })
  try {
    await writer.append(target, [taken], { signal })
    return writer
  } catch (error) {
    await writer[Symbol.asyncDispose]()
    throw error
  }
}

async function changeOnce(
  deps: ResourcesDeps,
  decide: Decide,
  options: ChangeOptions,
): Promise<readonly ResourceChange[]> {
  const { signal } = options
  await using writer = await takeOver(deps, { writer: 'resources', key: 'resources' }, signal)
  const writing = new Writing(deps, writer, signal)
  const stored = await readStored(deps, { signal, withPast: true })
  await writing.unfold(stored)
  const changes = await decide(stored.resources)
  if (changes.length === 0) return []
  await writing.append(entriesOf(changes, stored, options))
  return changes
}

/** The records of a change: the new version of each resource, and its previous version. */
function entriesOf(
  changes: readonly ResourceChange[],
  { resources, past, lastVersions }: StoredResources,
  { by, keepsState = false }: ChangeOptions,
): SetEntries {
  const now = Date.now()
  const entries: SetEntries = []
  for (const { kind, name, next } of changes) {
    const key = `${kind}/${name}`
    const before = resources.get(key)
    if (kind === 'sync' && next !== null && resources.has(deletionKey(name)))
      throw new SluiceError(
        'conflict',
        `The sync \`${name}\` was deleted, and its topics are not gone yet: try again in a moment.`,
        { retryable: true },
      )
    const version = Math.max(versionOf(before), lastVersions.get(key) ?? 0) + 1
    if (before !== undefined && before.spec !== '')
      entries.push([pastKey(key, version - 1), pastRecord(before, key, version - 1)])
    for (let old = version - 1 - PAST_KEPT; past.has(pastKey(key, old)); old -= 1)
      entries.push([pastKey(key, old), null])
    if (next === null) {
      entries.push([pastKey(key, version), { ...pastRecord(null, key, version), at: now, by }], [key, null])
      const incarnation = resources.get(`incarnation/${name}`)
      if (kind === 'sync' && incarnation !== undefined && !keepsState)
        entries.push([deletionKey(name), { ...plainRecord('deletion', name, incarnation.spec), at: now, by }])
      continue
    }
    assertFits(`The ${kind} \`${name}\``, next.spec, RESOURCE_CEILING_BYTES)
    const { project, spec, folder = null } = next
    const text = keptText(next.text ?? null)
    entries.push([key, { kind, name, project, folder, spec, version, at: now, by, text }])
  }
  return entries
}

/** A past version. A version without a spec says that the resource was deleted. */
function pastRecord(before: ResourceRecord | null, key: string, version: number): ResourceRecord {
  const { project = '', spec = '', at: since = null, by = null, text = null, folder = null } = before ?? {}
  return { kind: 'history', name: `${key}/${version}`, project, spec, version, at: since, by, text, folder }
}

const keptText = (text: string | null): string | null =>
  text !== null && text.length <= KEPT_TEXT_CHARACTERS ? text : null

class Writing {
  readonly #deps: ResourcesDeps
  readonly #writer: FencedWriter
  readonly #signal: AbortSignal

  constructor(deps: ResourcesDeps, writer: FencedWriter, signal: AbortSignal) {
    this.#deps = deps
    this.#writer = writer
    this.#signal = signal
  }

  /**
   * Appends all entries or none, as every reader sees it. The log limits the size of an atomic append. So a
   * larger change is first written as one record, a set, and then as a record for each entry.
   */
  async append(entries: SetEntries): Promise<void> {
    const bytes = entries.map(([key, record]) => sizeOf(key, record)).reduce((sum, each) => sum + each, 0)
    if (bytes <= ATOMIC_BYTES) return await this.#append(entries)
    const id = randomUUID()
    const spec = JSON.stringify(entries)
    const maxBytes = RECORD_CEILING_BYTES - SET_HEAD_BYTES
    if (Buffer.byteLength(spec) > maxBytes)
      throw new SluiceError(
        'config',
        `The change is too large: its resources take ${Buffer.byteLength(spec)} bytes together, and one change may have ${maxBytes}. Nothing was stored. Make the change in several steps: \`sluice apply\` first with a part of the files, then with all of them.`,
      )
    const key = setKey(id)
    await this.#append([[key, plainRecord('set', id, spec)]])
    await this.#unfold(key, entries)
  }

  /**
   * Writes the entries of sets as records of their own. An earlier process may have died before it did so.
   */
  async unfold({ inSets, resources, past }: StoredResources): Promise<void> {
    for (const [set, keys] of inSets)
      await this.#unfold(
        set,
        [...keys].map(key => [key, resources.get(key) ?? past.get(key) ?? null]),
      )
  }

  async #unfold(set: string, entries: SetEntries): Promise<void> {
    // These records say the same as the set, so it does no harm if a process dies before it deletes the set.
    if (entries.length > 0) await this.#append(entries)
    await this.#append([[set, null]])
  }

  async #append(entries: SetEntries): Promise<void> {
    const { io, prefix } = this.#deps
    const target = at(sharedTopics(prefix).resources, 0)
    const records = entries.map(([key, record]) => {
      const value = record === null ? null : io.encode('ResourceRecord', record)
      return io.signed(target.topic, { key: textKey(key), value })
    })
    await this.#writer.append(target, records, { signal: this.#signal })
  }
}

/** The most bytes that key, names, numbers and signature of a record take. */
const SET_HEAD_BYTES = 1_000

function sizeOf(key: string, record: ResourceRecord | null): number {
  const fixed = RECORD_OVERHEAD_BYTES + 2 * key.length + SET_HEAD_BYTES
  if (record === null) return fixed
  return [record.spec, record.by, record.text].reduce(
    (sum, text) => sum + Buffer.byteLength(text ?? ''),
    fixed,
  )
}

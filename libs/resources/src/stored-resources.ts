/**
 * Reads the topic `resources` (PROTOCOL.md §1). Besides the resources, the topic holds the incarnations of
 * syncs, earlier versions of resources, marks of deletions, and sets: changes too large for one atomic
 * append.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { setEntries, type ResourceRecord, type SetEntries } from '@sluice/contracts/document-records'
import type { MessageLog } from '@sluice/message-log/port'
import { decodeShared } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, isMarkerKey, keyText, sharedTopics } from '@sluice/topics/topics'

export interface ResourcesDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

/**
 * Throws `config` for a document that is larger than a record may be, before anything is written. `what` is
 * the subject of the message.
 */
export function assertFits(what: string, spec: string, maxBytes: number): void {
  const bytes = Buffer.byteLength(spec)
  if (bytes <= maxBytes) return
  throw new SluiceError(
    'config',
    `${what} has ${bytes} bytes as JSON, and may have ${maxBytes}: shorten its templates, texts or certificates.`,
  )
}

export interface StoredResources {
  /** The present versions, by kind/name. A resource that cannot be read has an empty spec. */
  readonly resources: ReadonlyMap<string, ResourceRecord>
  /** The earlier versions, by key in the topic. Empty unless the caller asked for them. */
  readonly past: ReadonlyMap<string, ResourceRecord>
  /** The highest version in the past of each resource, by kind/name. */
  readonly lastVersions: ReadonlyMap<string, number>
  /** True if the topic has more names than are read. A missing name may then be in the topic all the same. */
  readonly isOverfull: boolean
  /** Keys whose last value is in a set, by the key of that set. */
  readonly inSets: ReadonlyMap<string, ReadonlySet<string>>
}

const HISTORY = 'history/'
const SET = 'set/'
/** A larger version is ignored, since there might be no number left for the next version. */
const MAX_VERSION = 1_000_000_000
/** Bounds of memory, for present and past versions: far more than any server has. */
const MAX_KEYS = 100_000
const MAX_PAST_KEYS = 1_000_000
const MAX_CHARACTERS = 100_000_000
const MAX_PAST_CHARACTERS = 400_000_000

/** A record without version, time and author. */
export function plainRecord(kind: string, name: string, spec: string): ResourceRecord {
  return { kind, name, project: '', spec, version: null, at: null, by: null, text: null, folder: null }
}

/** The key of a deletion mark. A deleted sync has this mark until its incarnation is gone. */
export function deletionKey(sync: string): string {
  return `deletion/${sync}`
}

/** The key of an earlier version of a resource. */
export function pastKey(resource: string, version: number): string {
  return `${HISTORY}${resource}/${version}`
}

export function setKey(id: string): string {
  return `${SET}${id}`
}

/** The resource and the version that the key of an earlier version names; null for any other key. */
function pastOf(key: string): { readonly resource: string; readonly version: number } | null {
  if (!key.startsWith(HISTORY)) return null
  const slash = key.lastIndexOf('/')
  const version = Number(key.slice(slash + 1))
  const isOne = Number.isSafeInteger(version) && version >= 0 && version <= MAX_VERSION
  return isOne ? { resource: key.slice(HISTORY.length, slash), version } : null
}

/** Reads all resources, by `kind/name`. A resource that cannot be read has an empty spec. */
export async function readResources(
  deps: ResourcesDeps,
  options: { signal: AbortSignal },
): Promise<ReadonlyMap<string, ResourceRecord>> {
  return (await readStored(deps, { ...options, withPast: false })).resources
}

export async function readStored(
  deps: ResourcesDeps,
  { signal, withPast }: { readonly signal: AbortSignal; readonly withPast: boolean },
): Promise<StoredResources> {
  const { log, io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  const { low, end } = await log.offsets(target, { signal })
  const reading = new Reading(withPast)
  if (low >= end) return reading
  const signed = new Set<string>()
  for await (const { records } of log.read(target, { signal, from: low, to: end })) {
    const wanted = records.filter(record => reading.wants(record))
    const unsigned = new Set(wanted.flatMap(each => (each.signature === undefined ? [each.offset] : [])))
    for (const placed of await decodeShared(io, { target, records: wanted }, signal)) {
      const { key, record, torn, offset } = placed
      const name = keyText(key)
      // Where a signing key is set, a record without a valid signature changes nothing.
      if (torn !== undefined) {
        if (io.signatures === null) reading.put(name, tornResource(name))
        continue
      }
      if (io.signatures !== null && unsigned.has(offset) && signed.has(name)) {
        const error = new SluiceError('corrupt', `An incarnation of ${target.topic} has no signature.`)
        io.foreign.take(target, offset, error)
        continue
      }
      if (!unsigned.has(offset)) signed.add(name)
      if (record === null) reading.put(name, null)
      if (record?.name === 'sluice.ResourceRecord') reading.put(name, record.value)
    }
  }
  return reading
}

class Reading implements StoredResources {
  readonly resources = new Map<string, ResourceRecord>()
  readonly past = new Map<string, ResourceRecord>()
  readonly lastVersions = new Map<string, number>()
  isOverfull = false
  readonly inSets = new Map<string, Set<string>>()
  readonly #withPast: boolean
  readonly #setOf = new Map<string, string>()
  /** The characters of specs and texts in `resources` and in `past`. */
  #characters = { present: 0, past: 0 }

  constructor(withPast: boolean) {
    this.#withPast = withPast
  }

  /**
   * Returns false for a record that need not be decoded. Past versions take many times the space of the
   * present ones, and most readers need only their numbers.
   */
  wants({ key, value }: { readonly key: Uint8Array; readonly value: Uint8Array | null }): boolean {
    if (isMarkerKey(key)) return false
    const past = pastOf(keyText(key))
    if (past === null || this.#withPast) return true
    if (value !== null) this.#note(past)
    return false
  }

  put(key: string, record: ResourceRecord | null): void {
    if (key.startsWith(SET)) this.#takeSet(key, record)
    else this.#put(key, record, null)
  }

  #put(key: string, record: ResourceRecord | null, set: string | null): void {
    const past = pastOf(key)
    if (past === null && key.startsWith(HISTORY)) return
    if (past !== null && record !== null) this.#note(past)
    if (past !== null && !this.#withPast) return
    if (past === null) this.#keep(key, record)
    else this.#keepPast(key, record)
    const before = this.#setOf.get(key)
    if (before !== undefined) this.inSets.get(before)?.delete(key)
    this.#setOf.delete(key)
    if (set === null) return
    this.#setOf.set(key, set)
    this.inSets.get(set)?.add(key)
  }

  /**
   * Bounds the memory, even if somebody fills the topic. A resource beyond the limit counts as unreadable.
   */
  #keep(key: string, record: ResourceRecord | null): void {
    const known = this.resources.get(key)
    if (record === null) this.resources.delete(key)
    else if (known === undefined && this.resources.size >= MAX_KEYS) {
      this.isOverfull = true
      return
    }
    this.#characters.present -= charactersOf(known)
    if (record === null) return
    const hasRoom = this.#characters.present + charactersOf(record) <= MAX_CHARACTERS
    const kept = hasRoom ? record : tornResource(key)
    this.#characters.present += charactersOf(kept)
    this.resources.set(key, kept)
  }

  #keepPast(key: string, record: ResourceRecord | null): void {
    const known = this.past.get(key)
    this.#characters.past -= charactersOf(known)
    this.past.delete(key)
    if (record === null || this.past.size >= MAX_PAST_KEYS) return
    if (this.#characters.past + charactersOf(record) > MAX_PAST_CHARACTERS) return
    this.#characters.past += charactersOf(record)
    this.past.set(key, record)
  }

  /** All entries of a set take effect at once, at the offset of the set. */
  #takeSet(key: string, record: ResourceRecord | null): void {
    this.inSets.delete(key)
    if (record === null) return
    this.inSets.set(key, new Set())
    for (const [each, value] of entriesOf(record.spec)) this.#put(each, value, key)
  }

  #note({ resource, version }: { readonly resource: string; readonly version: number }): void {
    const known = this.lastVersions.get(resource)
    if (known === undefined && this.lastVersions.size >= MAX_KEYS) return
    this.lastVersions.set(resource, Math.max(version, known ?? 0))
  }
}

const charactersOf = (record: ResourceRecord | undefined): number =>
  record === undefined ? 0 : record.spec.length + (record.text?.length ?? 0)

/** The entries of a record: the record itself, or all entries of a set. */
export function recordsIn(key: string, record: ResourceRecord | null): SetEntries {
  if (!key.startsWith(SET)) return [[key, record]]
  return record === null ? [] : entriesOf(record.spec)
}

function entriesOf(spec: string): SetEntries {
  try {
    return setEntries.safeParse(JSON.parse(spec)).data ?? []
  } catch {
    return []
  }
}

/** Makes an unreadable resource. Only syncs that need it fail. */
function tornResource(key: string): ResourceRecord {
  const slash = key.indexOf('/')
  return plainRecord(key.slice(0, slash), key.slice(slash + 1), '')
}

/** The version of a stored resource: 1 for a record without a version, 0 for no record. */
export function versionOf(record: ResourceRecord | undefined): number {
  if (record === undefined) return 0
  const { version } = record
  return version === null || version < 1 || version > MAX_VERSION ? 1 : version
}

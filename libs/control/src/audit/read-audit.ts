/**
 * Lists who made which change or sent which command, and when: the versions of all resources, the changes of
 * the vault, and the commands of people. The log keeps the last versions of each resource, the last changes
 * of each secret, and commands for seven days.
 */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { AuditPage } from '@sluice/contracts/api/operating'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import type { Command } from '@sluice/contracts/records'
import { isResourceKind, type ResourceKind } from '@sluice/contracts/resources'
import { jsonOf } from '@sluice/contracts/safe-json'
import { inTurns, shortTurn } from '@sluice/flow/sleep'
import { readStored, versionOf, type StoredResources } from '@sluice/resources/stored-resources'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at as partitionAt, SHARED_PARTITIONS, sharedTopics } from '@sluice/topics/topics'
import { readVaultChanges } from '@sluice/secrets/vault/vault'
import type { Catalog } from '../catalog.ts'
import { formatCursor, parseCursor } from '../history/cursor.ts'
import type { Pipeline } from '../pipeline.ts'
import { KeptRead } from '../resources/kept-read.ts'
import { isoTime } from '@sluice/domain/iso-time'
import { isRole } from '../roles.ts'
import { differences } from '../resources/resource-plan.ts'
import { specOf } from '../resources/written-resource.ts'
import { z } from 'zod'

type Entry = AuditPage['entries'][number]

/** The place of an entry in the list. Entries are sorted by time, the newest first, and then by id. */
interface Place {
  readonly at: number
  readonly id: string
}

interface Found extends Place {
  readonly by: string | null
  readonly name: string
  /** Makes the entry when it is shown, since comparing its fields takes long. */
  readonly entry: () => Entry
  shown?: Entry
}

/** At most this many changes of the vault are kept between two requests. */
const MAX_KEPT = 10_000

type Wanted = (found: Found) => boolean

type Topics = Pick<Pipeline, 'log' | 'io' | 'prefix'>

/** Keeps the changes of resources and of the vault, and reads them again only once something was written. */
export class Audit {
  readonly #topics: Topics
  readonly #stored: NonNullable<Catalog['stored']>
  readonly #vault: KeptRead<readonly Found[]>
  /** The changes that were found in `stored`. */
  #changes: { readonly stored: StoredResources; readonly found: readonly Found[] } | null = null

  constructor(topics: Topics, stored?: Catalog['stored']) {
    this.#topics = topics
    this.#stored = stored ?? ((extent, signal) => readStored(topics, { ...extent, signal }))
    const target = partitionAt(sharedTopics(topics.prefix).secrets, 0)
    const isSmall = (all: readonly Found[]): boolean => all.length <= MAX_KEPT
    this.#vault = new KeptRead({ log: topics.log, target, isSmall }, signal => vaultChanges(topics, signal))
  }

  /** A page of entries, the newest first. Throws `usage` for a cursor that is none. */
  async page({ limit, after, by, name }: InputOf<'listAudit'>, signal: AbortSignal): Promise<AuditPage> {
    const from = after === undefined ? null : parseCursor(after, isPlace)
    const wanted: Wanted = found =>
      (from === null || byTime(from, found) < 0) &&
      (by === undefined || found.by === by) &&
      (name === undefined || found.name === name)
    const changes = await this.#changed(signal)
    const partitions = Array.from({ length: SHARED_PARTITIONS }, (_, partition) => partition)
    const asked = await Promise.all(
      partitions.map(partition => commandsIn(this.#topics, { partition, most: limit + 1, wanted }, signal)),
    )
    const ofVault = await this.#ofVault(signal)
    const all = [...changes.filter(wanted), ...ofVault.filter(wanted), ...asked.flat()].sort(byTime)
    const page = all.slice(0, limit)
    const last = page.at(-1)
    const entries = await inTurns(page, found => (found.shown ??= found.entry()))
    const next =
      all.length > page.length && last !== undefined ? formatCursor({ at: last.at, id: last.id }) : null
    return { entries, next }
  }

  async #changed(signal: AbortSignal): Promise<readonly Found[]> {
    const stored = await this.#stored({ withPast: true }, signal)
    if (this.#changes?.stored !== stored) this.#changes = { stored, found: changesIn(stored) }
    return this.#changes.found
  }

  /** Logs that are older than the vault lack its topic. */
  async #ofVault(signal: AbortSignal): Promise<readonly Found[]> {
    const { log, prefix } = this.#topics
    const has = (await log.partitionsOf(sharedTopics(prefix).secrets, { signal })) !== null
    return has ? await this.#vault.now(signal) : []
  }
}

/** Negative if the first comes before the second in the list. */
function byTime(one: Place, other: Place): number {
  return other.at - one.at || (one.id > other.id ? -1 : one.id < other.id ? 1 : 0)
}

function isPlace(value: unknown): value is Place {
  if (typeof value !== 'object' || value === null || !('at' in value) || !('id' in value)) return false
  return typeof value.at === 'number' && typeof value.id === 'string'
}

function changesIn({ resources, past }: StoredResources): Found[] {
  const byResource = new Map<string, ResourceRecord[]>()
  const add = (key: string, record: ResourceRecord): void => {
    byResource.set(key, [...(byResource.get(key) ?? []), record])
  }
  for (const record of past.values()) add(record.name.slice(0, record.name.lastIndexOf('/')), record)
  for (const [key, record] of resources) add(key, record)
  return [...byResource].flatMap(([key, records]) => {
    const kind = key.slice(0, key.indexOf('/'))
    const name = key.slice(kind.length + 1)
    if (!isResourceKind(kind)) return []
    const sorted = records.toSorted((one, other) => versionOf(one) - versionOf(other))
    return sorted.map((record, index) => changeOf({ kind, name, record, before: sorted[index - 1] }))
  })
}

interface Change {
  readonly kind: ResourceKind
  readonly name: string
  readonly record: ResourceRecord
  readonly before: ResourceRecord | undefined
}

function changeOf({ kind, name, record, before }: Change): Found {
  const version = versionOf(record)
  const specIn = (stored: ResourceRecord) => specOf({ kind, name, spec: stored.spec })
  const isNew = before === undefined ? version === 1 : before.spec === ''
  const action = record.spec === '' ? 'delete' : isNew ? 'create' : 'update'
  const fields = (): string[] =>
    action === 'update' && before !== undefined
      ? differences(specIn(before), specIn(record)).map(({ field }) => field)
      : []
  return {
    ...{ at: record.at ?? 0, id: `${kind}/${name}/${version}`, by: record.by, name },
    entry: () => ({
      ...{ at: isoTime(record.at), by: record.by, action, kind, name, version },
      ...{ project: record.project, fields: fields(), run: null },
    }),
  }
}

async function vaultChanges(topics: Topics, signal: AbortSignal): Promise<Found[]> {
  return (await readVaultChanges(topics, { signal })).map(({ kind, name, action, at, by, id, note }) => ({
    ...{ at, id, by, name },
    entry: () => ({
      ...{ at: isoTime(at), by, action, kind, name, version: null, project: '', fields: [], run: null },
      ...(kind === 'token' && note !== null ? tokenIn(note) : {}),
    }),
  }))
}

const madeToken = z.object({ roles: z.array(z.string()), endsAt: z.number().nullable() })

/** Returns what a token may do, from the note of its change. Empty for a note of another form. */
function tokenIn(note: string): Pick<Entry, 'token'> {
  const { data } = madeToken.safeParse(jsonOf(note))
  if (data === undefined) return {}
  const { roles, endsAt } = data
  return { token: { roles: roles.filter(isRole), endsAt: isoTime(endsAt) } }
}

interface CommandsOf {
  readonly partition: number
  /** At most this many commands are read. */
  readonly most: number
  readonly wanted: Wanted
}

/** The commands of one partition, the newest first. */
async function commandsIn(
  { log, io, prefix }: Topics,
  { partition, most, wanted }: CommandsOf,
  signal: AbortSignal,
): Promise<Found[]> {
  const target = partitionAt(sharedTopics(prefix).commands, partition)
  const found: Found[] = []
  for await (const stored of log.readBackwards(target, { signal })) {
    await shortTurn()
    if (io.distrust(target.topic, stored) !== null) continue
    const [placed] = await decodeEach(io, [stored], signal)
    if (placed?.record?.name !== 'sluice.Command') continue
    const asked = askedOf(placed.record.value)
    if (asked === null || !wanted(asked)) continue
    found.push(asked)
    if (found.length >= most) break
  }
  return found
}

/** The entry of a command. Null for a command that no person sent: the deletion of a sync sends a reset. */
function askedOf({ id, kind, sync, cause, run, at, by = null }: Command): Found | null {
  if (kind === 'reset' && run !== null) return null
  const asked = cause === 'manual' || cause === 'schedule' ? 'run' : cause
  const action = kind === 'run' ? asked : kind
  return {
    ...{ at, id, by, name: sync },
    entry: () => ({
      ...{ at: isoTime(at), by, action, kind: 'sync', name: sync, version: null, project: '' },
      ...{ fields: [], run: kind === 'cancel' || kind === 'approve' ? run : id },
    }),
  }
}

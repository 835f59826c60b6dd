/**
 * A sync's incarnation: an id that the sync gets at its first run, and again at each reset. It is kept beside
 * the resources, and written under a fence. So two detectors that meet a new sync at the same time agree on
 * one.
 */
import { randomBytes } from 'node:crypto'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError } from '@sluice/contracts/errors'
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { deletionKey, plainRecord, readResources, readStored } from './stored-resources.ts'
import { at, markerKey, sharedTopics, textKey } from '@sluice/topics/topics'
import { plainMarker } from '@sluice/partition/take-over'

/**
 * The sync's incarnation, made if it has none. Rejects with `fenced` if another process makes one at the same
 * time; ask again then.
 */
export async function incarnationOf(
  deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  sync: string,
  options: { signal: AbortSignal },
): Promise<string> {
  const found = await knownIncarnation(deps, sync, options)
  return found ?? renewIncarnation(deps, { sync, old: null }, options)
}

/**
 * Gives the sync a new incarnation in place of `old` (null: it has none), unless it has another one by now.
 * Rejects as `incarnationOf` does.
 */
export async function renewIncarnation(
  deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  { sync, old }: { readonly sync: string; readonly old: string | null },
  options: { signal: AbortSignal },
): Promise<string> {
  const key = incarnationKey(sync)
  const { log, io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  await using writer = await log.openWriter(`${prefix}.incarnation.${sync}`, options)
  const marker = io.encode('Marker', plainMarker('takeover', '', -1))
  const signed = (record: NewRecord): NewRecord => io.signed(target.topic, record)
  await writer.append(target, [signed({ key: markerKey('takeover', key), value: marker })], options)
  const meanwhile = await readIncarnation(deps, sync, options)
  if (meanwhile !== undefined && meanwhile.spec !== old) return readable(sync, meanwhile.spec)
  const spec = newIncarnation()
  const record = plainRecord('incarnation', sync, spec)
  const value = io.encode('ResourceRecord', record)
  await writer.append(target, [signed({ key: textKey(key), value })], options)
  return spec
}

/** The sync's incarnation, null if it has none: it was never run. Writes nothing. */
export async function knownIncarnation(
  deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  sync: string,
  options: { signal: AbortSignal },
): Promise<string | null> {
  const found = await readIncarnation(deps, sync, options)
  return found === undefined ? null : readable(sync, found.spec)
}

/** The incarnation that a record names. Throws `corrupt` if it names none. */
function readable(sync: string, spec: string): string {
  if (/^[0-9a-z]{1,40}$/i.test(spec)) return spec
  throw new SluiceError('corrupt', `the incarnation of ${sync} cannot be read in the log`)
}

/** A sync that has one, and would not be known to have it, would begin anew and send all rows again. */
async function readIncarnation(
  deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  sync: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<ResourceRecord | undefined> {
  const { resources, isOverfull } = await readStored(deps, { signal, withPast: false })
  const found = resources.get(incarnationKey(sync))
  if (found !== undefined || !isOverfull) return found
  const { resources: topic } = sharedTopics(deps.prefix)
  throw new SluiceError(
    'corrupt',
    `the topic ${topic} has more names than are read, and the incarnation of ${sync} is not among those: remove what is not yours`,
  )
}

/**
 * Ends the deletion of a sync, once nothing of its incarnation is left: its mark and its incarnation go
 * together. Rejects as `incarnationOf` does.
 */
export async function endDeletion(
  deps: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  sync: string,
  options: { signal: AbortSignal },
): Promise<void> {
  const { log, io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  await using writer = await log.openWriter(`${prefix}.incarnation.${sync}`, options)
  const marker = io.encode('Marker', plainMarker('takeover', '', -1))
  const key = incarnationKey(sync)
  const taken = io.signed(target.topic, { key: markerKey('takeover', key), value: marker })
  await writer.append(target, [taken], options)
  const stored = await readResources(deps, options)
  const keys = [key, deletionKey(sync)].filter(each => stored.has(each))
  if (keys.length === 0) return
  const records = keys.map(each => io.signed(target.topic, { key: textKey(each), value: null }))
  await writer.append(target, records, options)
}

function incarnationKey(sync: string): string {
  return `incarnation/${sync}`
}

/** Ten characters that no other incarnation has, fit for the names of groups, files and keys. */
function newIncarnation(): string {
  return randomBytes(10).toString('hex').slice(0, 12)
}

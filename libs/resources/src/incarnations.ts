/**
 * A sync's incarnation: an id that the sync gets at its first run, and again at each reset. It is stored
 * beside the resources, by a writer that fences others. So two detectors that see a new sync at the same time
 * agree on one incarnation.
 */
import { randomBytes } from 'node:crypto'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { SluiceError } from '@sluice/contracts/errors'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { takeOver } from './change-resources.ts'
import {
  deletionKey,
  plainRecord,
  readResources,
  readStored,
  type ResourcesDeps,
} from './stored-resources.ts'

/**
 * The sync's incarnation. It is created if the sync has none. Rejects with `fenced` if another process
 * creates one at the same time. The caller then asks again.
 */
export async function incarnationOf(
  deps: ResourcesDeps,
  sync: string,
  options: { signal: AbortSignal },
): Promise<string> {
  const found = await knownIncarnation(deps, sync, options)
  return found ?? renewIncarnation(deps, { sync, old: null }, options)
}

/**
 * Gives the sync a new incarnation in place of `old`, unless it has another one by now. `old` is null if the
 * sync has none. Rejects as `incarnationOf` does.
 */
export async function renewIncarnation(
  deps: ResourcesDeps,
  { sync, old }: { readonly sync: string; readonly old: string | null },
  options: { signal: AbortSignal },
): Promise<string> {
  const key = incarnationKey(sync)
  const { io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  await using writer = await takeOver(deps, { writer: `incarnation.${sync}`, key }, options.signal)
  const meanwhile = await readIncarnation(deps, sync, options)
  if (meanwhile !== undefined && meanwhile.spec !== old) return readable(sync, meanwhile.spec)
  const spec = newIncarnation()
  const record = plainRecord('incarnation', sync, spec)
  const value = io.encode('ResourceRecord', record)
  await writer.append(target, [io.signed(target.topic, { key: textKey(key), value })], options)
  return spec
}

/** The sync's incarnation; null if the sync never ran. Writes nothing. */
export async function knownIncarnation(
  deps: ResourcesDeps,
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

/**
 * Throws `corrupt` if the topic may hold an incarnation that was not read. A sync without it would start from
 * nothing and send all rows again.
 */
async function readIncarnation(
  deps: ResourcesDeps,
  sync: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<ResourceRecord | undefined> {
  const { resources, isOverfull } = await readStored(deps, { signal, withPast: false })
  const found = resources.get(incarnationKey(sync))
  if (found !== undefined || !isOverfull) return found
  const { resources: topic } = sharedTopics(deps.prefix)
  throw new SluiceError(
    'corrupt',
    `the topic ${topic} has more names than are read, and the incarnation of ${sync} is not among those: remove the records that are not Sluice's`,
  )
}

/**
 * Ends the deletion of a sync, once nothing of its incarnation is left. Removes the deletion mark and the
 * incarnation together. Rejects as `incarnationOf` does.
 */
export async function endDeletion(
  deps: ResourcesDeps,
  sync: string,
  options: { signal: AbortSignal },
): Promise<void> {
  const { io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  const key = incarnationKey(sync)
  await using writer = await takeOver(deps, { writer: `incarnation.${sync}`, key }, options.signal)
  const stored = await readResources(deps, options)
  const keys = [key, deletionKey(sync)].filter(each => stored.has(each))
  if (keys.length === 0) return
  const records = keys.map(each => io.signed(target.topic, { key: textKey(each), value: null }))
  await writer.append(target, records, options)
}

function incarnationKey(sync: string): string {
  return `incarnation/${sync}`
}

/** Twelve random characters, fit for the names of groups, files and keys. */
function newIncarnation(): string {
  return randomBytes(10).toString('hex').slice(0, 12)
}

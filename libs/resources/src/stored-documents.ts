/**
 * Stores and looks up the definitions that runs are pinned to, and tells processes whether resources are
 * signed (PROTOCOL.md §1).
 */
import { createHash } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, ResourceKind, ResourceSpec } from '@sluice/contracts/resources'
import type { DefinitionRecord, ResourceRecord } from '@sluice/contracts/document-records'
import { lookUpDefinition } from '@sluice/domain/definition'
import { DEFINITION_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { SharedWork } from '@sluice/flow/shared-work'
import { decodeShared } from '@sluice/topics/owned-reader'
import { RecentMap } from '@sluice/flow/recent-map'
import { parseDefinition, parseResource } from './parse-documents.ts'
import { assertFits, plainRecord, readResources, type ResourcesDeps as Deps } from './stored-resources.ts'
import { at, keyText, sharedTopics, textKey } from '@sluice/topics/topics'

/** At most this many characters of definitions are kept in memory: thousands of ordinary ones. */
const KEPT_TEXT = 16 * 1024 * 1024

interface Known {
  /** Null for a record in the topic that is no definition. */
  readonly definition: Definition | null
  readonly size: number
}

/**
 * Looks up definitions by hash. A definition never changes, so recently used ones stay in memory. Concurrent
 * callers share one read of the topic. Each caller waits until its own signal aborts.
 */
export class Definitions {
  readonly #deps: Deps
  readonly #known: RecentMap<string, Known>
  readonly #reading = new SharedWork<void>(options => this.#readOn(options))
  /** The topic was read up to this offset. Each earlier definition is in memory, or was dropped from it. */
  #position: number | null = null
  #hasForgotten = false

  constructor(deps: Deps, options: { readonly keptText?: number } = {}) {
    this.#deps = deps
    this.#known = new RecentMap({
      limit: options.keptText ?? KEPT_TEXT,
      weightOf: ({ size }) => size,
      onForgotten: () => (this.#hasForgotten = true),
    })
  }

  /**
   * Stores a definition unless it is stored already, and returns its hash. Resolves once it is acknowledged.
   */
  async put(definition: Definition, options: { signal: AbortSignal }): Promise<string> {
    const spec = JSON.stringify(definition)
    const hash = hashOf(spec)
    if (this.#known.get(hash) !== undefined) return hash
    assertFits(
      `The sync \`${definition.sync.name}\`, with its model, source and destination,`,
      spec,
      DEFINITION_CEILING_BYTES,
    )
    const value = this.#deps.io.encode('DefinitionRecord', { hash, spec })
    const target = at(sharedTopics(this.#deps.prefix).definitions, 0)
    const record = this.#deps.io.signed(target.topic, { key: textKey(hash), value })
    await this.#deps.log.append(target, [record], options)
    this.#known.set(hash, { definition, size: spec.length })
    return hash
  }

  /**
   * The definition with this hash. Rejects with `not-found` if the topic does not hold it, and with `corrupt`
   * if its record is no definition.
   */
  async get(hash: string, options: { signal: AbortSignal }): Promise<Definition> {
    const found = this.#known.get(hash) ?? (await this.#find(hash, options))
    if (found === null)
      throw new SluiceError('not-found', `there is no definition ${hash.slice(0, 12)} in the log`)
    if (found.definition === null)
      throw new SluiceError('corrupt', `the log's record of definition ${hash.slice(0, 12)} is no definition`)
    return found.definition
  }

  async #find(hash: string, options: { signal: AbortSignal }): Promise<Known | null> {
    const isJoining = this.#reading.isUnderWay
    await this.#reading.done(options)
    // A read that another caller had begun may have looked for the topic's end before this definition was
    // written.
    if (isJoining && this.#known.get(hash) === undefined) await this.#reading.done(options)
    return this.#known.get(hash) ?? (this.#hasForgotten ? await this.#lookUp(hash, options) : null)
  }

  async #readOn(options: { signal: AbortSignal }): Promise<void> {
    for await (const { records, nextOffset } of this.#read(this.#position ?? 0, options)) {
      for (const { hash, spec } of records) this.#take(hash, spec)
      this.#position = nextOffset
    }
  }

  /** Looks through the whole topic for a definition that is no longer in memory. */
  async #lookUp(hash: string, options: { signal: AbortSignal }): Promise<Known | null> {
    for await (const { records } of this.#read(0, options))
      for (const record of records) if (record.hash === hash) this.#take(hash, record.spec)
    return this.#known.get(hash) ?? null
  }

  async *#read(
    position: number,
    options: { signal: AbortSignal },
  ): AsyncGenerator<{ readonly records: readonly DefinitionRecord[]; readonly nextOffset: number }> {
    const { log, io, prefix } = this.#deps
    const target = at(sharedTopics(prefix).definitions, 0)
    const { low, end } = await log.offsets(target, options)
    const from = Math.max(position, low)
    if (from >= end) return
    for await (const batch of log.read(target, { ...options, from, to: end })) {
      const placed = await decodeShared(io, { target, records: batch.records }, options.signal)
      const records = placed.flatMap(({ key, record, torn }) => {
        if (torn !== undefined) return [{ hash: keyText(key), spec: '' }]
        return record?.name === 'sluice.DefinitionRecord' ? [record.value] : []
      })
      yield { records, nextOffset: batch.nextOffset }
    }
  }

  /**
   * A record that is no definition fails only the run that is pinned to it. It does not replace a known
   * definition, since the hash identifies the definition.
   */
  #take(hash: string, spec: string): void {
    if (this.#known.get(hash)?.definition) return
    const definition = hashOf(spec) === hash ? parseDefinition(spec) : null
    this.#known.set(hash, { definition, size: spec.length })
  }
}

function hashOf(spec: string): string {
  return createHash('sha256').update(spec).digest('hex')
}

/**
 * A sync with the present versions of the resources that it refers to. Rejects with `not-found`, which names
 * the missing resource.
 */
export async function currentDefinition(
  deps: Deps,
  sync: string,
  options: { signal: AbortSignal },
): Promise<Definition> {
  return definitionAmong(await readResources(deps, options), sync)
}

/** Returns the definition of a sync from resources that were read. Throws as `currentDefinition` does. */
export function definitionAmong(stored: ReadonlyMap<string, ResourceRecord>, sync: string): Definition {
  const find = (kind: ResourceKind, name: string): ResourceSpec | undefined => {
    const record = stored.get(`${kind}/${name}`)
    if (record === undefined) return undefined
    const resource = parseResource(record.spec)
    if (resource.kind === kind && resource.name === name) return resource
    throw new SluiceError('corrupt', `the log's record of the ${kind} ${name} is another resource`)
  }
  const found = lookUpDefinition(find, sync)
  if (found.kind === 'found') return found.definition
  throw new SluiceError('not-found', `sync ${sync}: there is no ${found.resource} ${found.name}`)
}

/**
 * Throws `config` if the resources are signed and this process lacks the key of the services. Otherwise its
 * user would wait for a command that every detector ignores.
 */
export async function assertKeyFits(deps: Deps, options: { signal: AbortSignal }): Promise<void> {
  const { log, io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  const { low, end } = await log.offsets(target, options)
  if (low >= end) return
  let isSigned = false
  for await (const { records } of log.read(target, { ...options, from: low, to: end }))
    for (const record of records) {
      if (record.signature === undefined) continue
      if (io.signatures?.verify(target.topic, record) === true) return
      isSigned = true
    }
  if (!isSigned) return
  const found = io.signatures === null ? 'is not set here' : 'is another one here'
  throw new SluiceError(
    'config',
    `The services accept only signed commands (${target.topic} has signed records), and SLUICE_SIGNING_KEY ${found}: ` +
      'set it to the key of the services.',
  )
}

/**
 * If a key is set, writes a signed record with no other content. The record tells a process without the key
 * that it needs one, even if no resource has changed since. Resolves once the record is acknowledged.
 */
export async function announceSigning(deps: Deps, options: { signal: AbortSignal }): Promise<void> {
  const { log, io, prefix } = deps
  if (io.signatures === null) return
  const target = at(sharedTopics(prefix).resources, 0)
  const notice = plainRecord('signatures', 'wanted', '')
  const value = io.encode('ResourceRecord', notice)
  const record = io.signed(target.topic, { key: textKey(`${notice.kind}/${notice.name}`), value })
  const { low, end } = await log.offsets(target, options)
  let last: Uint8Array | undefined
  if (low < end)
    for await (const { records } of log.read(target, { ...options, from: low, to: end }))
      for (const { key, signature } of records) if (keyText(key) === keyText(record.key)) last = signature
  // The signature differs if the first key is another one now.
  if (last !== undefined && record.signature !== undefined && Buffer.compare(last, record.signature) === 0)
    return
  await log.append(target, [record], options)
}

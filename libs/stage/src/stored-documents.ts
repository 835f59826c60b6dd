/**
 * What users apply, as the log holds it: resources by kind and name, and the definitions that runs are pinned
 * to (PROTOCOL.md §1).
 */
import { createHash } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, ResourceKind, ResourceSpec } from '@sluice/contracts/resources'
import type { ResourceRecord } from '@sluice/contracts/records'
import { lookUpDefinition } from '@sluice/domain/definition'
import { DEFINITION_CEILING_BYTES, RESOURCE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { MessageLog } from '@sluice/message-log/port'
import { decodeRecords } from './owned-reader.ts'
import type { RecordIo } from './record-io.ts'
import { at, keyText, sharedTopics, textKey } from './topics.ts'

interface Deps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

/** Looks up definitions by hash. Definitions never change, so what is known once is kept. */
export class Definitions {
  readonly #deps: Deps
  readonly #known = new Map<string, Definition>()
  #position: number | null = null
  #reading: Promise<void> | null = null

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /**
   * Stores a definition unless it is stored already, and returns its hash. Resolves once it is acknowledged.
   */
  async put(definition: Definition, options: { signal: AbortSignal }): Promise<string> {
    const spec = JSON.stringify(definition)
    const hash = createHash('sha256').update(spec).digest('hex')
    if (this.#known.has(hash)) return hash
    assertFits(`the sync ${definition.sync.name} with all it refers to`, spec, DEFINITION_CEILING_BYTES)
    const value = this.#deps.io.encode('DefinitionRecord', { hash, spec })
    const target = at(sharedTopics(this.#deps.prefix).definitions, 0)
    await this.#deps.log.append(target, [{ key: textKey(hash), value }], options)
    this.#known.set(hash, definition)
    return hash
  }

  /** The definition with this hash. Rejects with `not-found` if the topic does not hold it. */
  async get(hash: string, options: { signal: AbortSignal }): Promise<Definition> {
    if (!this.#known.has(hash)) {
      this.#reading ??= this.#readOn(options).finally(() => (this.#reading = null))
      await this.#reading
    }
    const definition = this.#known.get(hash)
    if (definition === undefined)
      throw new SluiceError('not-found', `there is no definition ${hash.slice(0, 12)} in the log`)
    return definition
  }

  async #readOn(options: { signal: AbortSignal }): Promise<void> {
    const { log, io, prefix } = this.#deps
    const target = at(sharedTopics(prefix).definitions, 0)
    const { low, end } = await log.offsets(target, options)
    const from = Math.max(this.#position ?? low, low)
    if (from >= end) return
    for await (const batch of log.read(target, { ...options, from, to: end })) {
      for (const { record } of await decodeRecords(io, batch.records, options.signal)) {
        if (record?.name !== 'sluice.DefinitionRecord') continue
        const { hash, spec } = record.value
        if (!this.#known.has(hash)) this.#known.set(hash, parseDefinition(spec))
      }
      this.#position = batch.nextOffset
    }
  }
}

/** Reads all resources, by `kind/name`. */
export async function readResources(
  deps: Deps,
  options: { signal: AbortSignal },
): Promise<ReadonlyMap<string, ResourceRecord>> {
  const { log, io, prefix } = deps
  const target = at(sharedTopics(prefix).resources, 0)
  const { low, end } = await log.offsets(target, options)
  const resources = new Map<string, ResourceRecord>()
  if (low >= end) return resources
  for await (const batch of log.read(target, { ...options, from: low, to: end })) {
    for (const { key, record } of await decodeRecords(io, batch.records, options.signal)) {
      if (record === null) resources.delete(keyText(key))
      if (record?.name === 'sluice.ResourceRecord') resources.set(keyText(key), record.value)
    }
  }
  return resources
}

/**
 * A sync with its model and destination as the resources have them now. Rejects with `not-found`, naming what
 * is missing.
 */
export async function currentDefinition(
  deps: Deps,
  sync: string,
  options: { signal: AbortSignal },
): Promise<Definition> {
  const stored = await readResources(deps, options)
  const find = (kind: ResourceKind, name: string): ResourceSpec | undefined => {
    const record = stored.get(`${kind}/${name}`)
    return record === undefined ? undefined : parseResource(record.spec)
  }
  const found = lookUpDefinition(find, sync)
  if (found.kind === 'found') return found.definition
  throw new SluiceError('not-found', `sync ${sync}: there is no ${found.resource} ${found.name}`)
}

/**
 * Writes the resources that differ from what is stored; returns how many did. Resolves once they are
 * acknowledged.
 */
export async function writeResources(
  deps: Deps,
  resources: readonly ResourceRecord[],
  options: { signal: AbortSignal },
): Promise<number> {
  const stored = await readResources(deps, options)
  const changed = resources.filter(resource => {
    const known = stored.get(`${resource.kind}/${resource.name}`)
    return known?.spec !== resource.spec || known.project !== resource.project
  })
  if (changed.length === 0) return 0
  for (const { kind, name, spec } of changed) assertFits(`the ${kind} ${name}`, spec, RESOURCE_CEILING_BYTES)
  const records = changed.map(resource => ({
    key: textKey(`${resource.kind}/${resource.name}`),
    value: deps.io.encode('ResourceRecord', resource),
  }))
  await deps.log.append(at(sharedTopics(deps.prefix).resources, 0), records, options)
  return changed.length
}

/** A document of more bytes than a record takes is refused as what it is, before anything is written. */
function assertFits(what: string, spec: string, mostBytes: number): void {
  const bytes = Buffer.byteLength(spec)
  if (bytes <= mostBytes) return
  const found = `${what} has ${bytes} bytes as JSON, and the most is ${mostBytes}`
  throw new SluiceError('config', `${found}: shorten its templates or texts`)
}

/**
 * A definition from its JSON. It was validated before it was stored; what is no definition at all is
 * `corrupt`.
 */
function parseDefinition(text: string): Definition {
  const value: unknown = JSON.parse(text)
  if (isDefinition(value)) return value
  throw new SluiceError('corrupt', `a stored definition is none: ${text.slice(0, 100)}`)
}

function isDefinition(value: unknown): value is Definition {
  const parts = ['sync', 'model', 'source', 'destination']
  return typeof value === 'object' && value !== null && parts.every(part => part in value)
}

/** A resource from its stored JSON, likewise. */
export function parseResource(text: string): ResourceSpec {
  const value: unknown = JSON.parse(text)
  if (isResource(value)) return value
  throw new SluiceError('corrupt', `a stored resource is none: ${text.slice(0, 100)}`)
}

function isResource(value: unknown): value is ResourceSpec {
  return typeof value === 'object' && value !== null && 'kind' in value && 'name' in value
}

/**
 * An environment of a project: the document `kind: environment` in `sluice.NAME.yaml`, beside `sluice.yaml`.
 * It gives values to `${NAME}`, and replaces fields of resources.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isResourceKind, resourceName, type ResourceKind } from '@sluice/contracts/resources'
import { isAlias, isMap, isScalar, isSeq, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { z } from 'zod'
import type { ReadDocuments, ResourceDocument } from '../files/read-documents.ts'
import { entriesOf, nodeOffset, resolvedNode, type MapEntry } from '../yaml/map-entries.ts'
import { placeIn } from '../decode/places.ts'
import { decodeFields, MAX_DEPTH, MAX_NODES } from './decode-resource.ts'
import type { DecodeOptions } from './decoded.ts'
import { detailAt, didYouMean } from './places.ts'

const variableName = z
  .string()
  .regex(
    /^(?!SLUICE_)[A-Z_][A-Z0-9_]*$/,
    'a name of upper case, digits and _ that does not begin with SLUICE_',
  )
const fields = z.record(z.string(), z.unknown())
const PLACES: { readonly [kind in ResourceKind]: string } = {
  source: 'sources',
  model: 'models',
  destination: 'destinations',
  sync: 'syncs',
  alert: 'alerts',
}
const overrides = z
  .record(resourceName, fields)
  .optional()
  .describe(
    'Fields by the name of the resource. They replace its own; maps are merged, and `null` takes a field away.',
  )

/** The document as users write it. */
export const environmentSchema = z.strictObject({
  kind: z.literal('environment'),
  variables: z
    .record(variableName, z.string())
    .optional()
    .describe('Values for `${NAME}`. A variable of the process that runs a command takes precedence.'),
  sources: overrides,
  models: overrides,
  destinations: overrides,
  syncs: overrides,
  alerts: overrides,
})

const readVariables = z.looseObject({
  variables: z
    .record(z.string(), z.unknown())
    .transform(all => Object.fromEntries(Object.entries(all).filter(isText))),
})
const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string'

/** The changes that an environment makes to one folder. */
export interface ProjectEnvironment {
  /** The variables of the process, and variables of the environment that the process lacks. */
  readonly env: DecodeOptions['env']
  /** Returns the document with the fields that the environment sets for its resource. */
  apply(document: ResourceDocument): ResourceDocument
  /**
   * The problems of the environment file. The list is complete once all documents are applied. One problem
   * blocks all syncs.
   */
  problems(options: { readonly areAllRead: boolean }): readonly ErrorDetail[]
}

/** For a command without an environment. */
export function noEnvironment(env: DecodeOptions['env']): ProjectEnvironment {
  return { env, apply: document => document, problems: () => [] }
}

/** Reads the file of an environment. It does not throw, whatever the file holds. */
export function readEnvironment(
  path: string,
  read: Pick<ReadDocuments, 'resources' | 'skipped' | 'problems'>,
  options: DecodeOptions,
): ProjectEnvironment {
  const [document, second] = read.resources
  const others = [
    ...(second === undefined ? [] : [placeOfKind(second)]),
    ...read.skipped.map(({ file, line }) => ({ file, line, column: 1 })),
  ]
  const isOne = document !== undefined && kindOf(document) === 'environment'
  const place = document !== undefined && !isOne ? placeOfKind(document) : (others[0] ?? null)
  const form: ErrorDetail[] =
    read.problems.length > 0 || (isOne && place === null)
      ? [...read.problems]
      : [
          detailAt(
            place ?? { file: path, line: 1, column: 1 },
            ['kind'],
            'the file of an environment wants one document, `kind: environment`, and no other',
          ),
        ]
  if (!isOne) return { ...noEnvironment(options.env), problems: () => form }
  const decoded = decodeFields(document, environmentSchema, options)
  // Valid variables are used even if the file has a mistake elsewhere, so that the mistake causes no further
  // errors.
  const values = readVariables.safeParse(decoded.value).data?.variables ?? {}
  const overriding = new Overriding(document)
  return {
    env: { ...values, ...set(options.env) },
    apply: each => overriding.apply(each),
    problems: ({ areAllRead }) => [
      ...form,
      ...decoded.problems,
      ...overriding.unknown(areAllRead ? '' : ' in the files that can be read'),
    ],
  }
}

/** The problem of an environment that is in the wrong file. */
export function misplacedEnvironment(document: ResourceDocument): ErrorDetail {
  const message =
    '`kind: environment` may stand only in a file `sluice.NAME.yaml` of the project folder, beside `sluice.yaml`; NAME is of a-z, 0-9 and -'
  return detailAt(placeOfKind(document), ['kind'], message)
}

export function isEnvironment(document: ResourceDocument): boolean {
  return kindOf(document) === 'environment'
}

function set(env: DecodeOptions['env']): { readonly [name: string]: string } {
  return Object.fromEntries(
    Object.entries(env ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function fieldOf({ map, document }: ResourceDocument, name: string): MapEntry | undefined {
  return entriesOf(map, document).entries.find(({ key }) => key === name)
}

function textOfField(document: ResourceDocument, name: string): string | null {
  const found = fieldOf(document, name)
  const node = found === undefined ? null : resolvedNode(found.value, document.document).node
  return isScalar(node) ? (node.source ?? null) : null
}

function kindOf(document: ResourceDocument): string | null {
  return textOfField(document, 'kind')
}

function placeOfKind(document: ResourceDocument): ReturnType<typeof placeIn> {
  return placeIn(document.file, fieldOf(document, 'kind')?.keyOffset ?? nodeOffset(document.map) ?? 0)
}

/** The fields that an environment gives to resources. */
class Overriding {
  readonly #from: ResourceDocument
  /** By place in the document and name. */
  readonly #given = new Map<string, MapEntry>()
  readonly #names: { readonly [place: string]: Set<string> }
  readonly #used = new Set<string>()

  constructor(from: ResourceDocument) {
    this.#from = from
    const places = Object.values(PLACES)
    this.#names = Object.fromEntries(places.map(place => [place, new Set<string>()]))
    for (const place of places) {
      const map = this.#mapOf(fieldOf(from, place)?.value.node)
      if (map === null) continue
      for (const entry of entriesOf(map, from.document).entries)
        this.#given.set(`${place}.${entry.key}`, entry)
    }
  }

  apply(document: ResourceDocument): ResourceDocument {
    const kind = kindOf(document)
    const name = textOfField(document, 'name')
    if (kind === null || name === null || !isResourceKind(kind)) return document
    const place = PLACES[kind]
    this.#names[place]?.add(name)
    const entry = this.#given.get(`${place}.${name}`)
    if (entry === undefined) return document
    this.#used.add(`${place}.${name}`)
    const over = this.#mapOf(entry.value.node)
    return over === null ? document : new Merging(document, this.#from).merged(over)
  }

  /** The problems of unknown names, and of `kind` and `name`. `where` says where names were looked for. */
  unknown(where: string): readonly ErrorDetail[] {
    return [...this.#given].flatMap(([key, entry]) => {
      const place = key.slice(0, key.indexOf('.'))
      if (!this.#used.has(key)) {
        const kind = place.slice(0, -1)
        const known = [...(this.#names[place] ?? [])]
        const message = `there is no ${kind} \`${entry.key}\`${where}${didYouMean(entry.key, known)}`
        return [detailAt(placeIn(this.#from.file, entry.keyOffset), [place, entry.key], message)]
      }
      const map = this.#mapOf(entry.value.node)
      const own = map === null ? [] : entriesOf(map, this.#from.document).entries
      return own
        .filter(each => each.key === 'kind' || each.key === 'name')
        .map(each =>
          detailAt(
            placeIn(this.#from.file, each.keyOffset),
            [place, entry.key, each.key],
            `an environment cannot change the \`${each.key}\` of a resource`,
          ),
        )
    })
  }

  #mapOf(node: unknown): YAMLMap | null {
    const found = resolvedNode({ node, offset: 0 }, this.#from.document).node
    return isMap(found) ? found : null
  }
}

/**
 * Merges a map of another file into a document. The text of that file is appended to the document's own, so
 * that each node keeps its place.
 */
class Merging {
  readonly #base: ResourceDocument
  readonly #over: ResourceDocument
  readonly #shift: number
  #nodes = 0

  constructor(base: ResourceDocument, over: ResourceDocument) {
    this.#base = base
    this.#over = over
    this.#shift = base.file.text.length + 1
  }

  merged(over: YAMLMap): ResourceDocument {
    const { file, map, document } = this.#base
    const behind = { at: this.#shift, file: this.#over.file }
    return {
      document,
      file: { ...file, text: `${file.text}\n${this.#over.file.text}`, behind },
      map: this.#merge(map, over, 0),
    }
  }

  /** A map with mistakes in its keys stays as it is, so that the decoder finds them. */
  #merge(base: YAMLMap, over: YAMLMap, depth: number): YAMLMap {
    const own = entriesOf(base, this.#base.document)
    const given = entriesOf(over, this.#over.document)
    if (own.problems.length > 0) return base
    if (given.problems.length > 0 || depth > MAX_DEPTH) return this.#movedMap(over, depth)
    const merged = new YAMLMap<unknown, unknown>()
    if (base.range !== undefined) merged.range = base.range
    if (base.tag !== undefined) merged.tag = base.tag
    for (const { key, keyOffset, value } of own.entries) {
      const instead = given.entries.find(each => each.key === key)
      if (instead === undefined) merged.items.push(new Pair(keyAt(key, keyOffset), value.node))
      else if (!saysNull(instead.value.node))
        merged.items.push(
          new Pair(keyAt(key, instead.keyOffset + this.#shift), this.#valueOf(value.node, instead, depth)),
        )
    }
    const known = new Set(own.entries.map(({ key }) => key))
    for (const { key, keyOffset, value } of given.entries)
      if (!known.has(key))
        merged.items.push(new Pair(keyAt(key, keyOffset + this.#shift), this.#moved(value.node, depth)))
    return merged
  }

  #valueOf(base: unknown, { value }: MapEntry, depth: number): unknown {
    const before = resolvedNode({ node: base, offset: 0 }, this.#base.document).node
    const after = resolvedNode(value, this.#over.document).node
    return isMap(before) && isMap(after)
      ? this.#merge(before, after, depth + 1)
      : this.#moved(value.node, depth)
  }

  /**
   * The node with its place moved behind the text of the document. Aliases are resolved, since their anchors
   * are in the other file.
   */
  #moved(node: unknown, depth: number): unknown {
    // This allows more than a resource may have, so that the decoder refuses the resource.
    if (++this.#nodes > 2 * MAX_NODES || depth > 2 * MAX_DEPTH) return null
    if (isAlias(node)) return this.#moved(node.resolve(this.#over.document), depth + 1)
    if (isScalar(node)) return this.#placed(new Scalar(node.value), node)
    if (isMap(node)) return this.#movedMap(node, depth)
    if (!isSeq(node)) return node
    const seq = this.#placed(new YAMLSeq(), node)
    for (const item of node.items) seq.items.push(this.#moved(item, depth + 1))
    return seq
  }

  #movedMap(map: YAMLMap, depth: number): YAMLMap {
    const moved = this.#placed(new YAMLMap(), map)
    for (const { key, value } of map.items)
      if (this.#nodes <= 2 * MAX_NODES)
        moved.items.push(new Pair(this.#moved(key, depth + 1), this.#moved(value, depth + 1)))
    return moved
  }

  #placed<Node extends Scalar | YAMLMap | YAMLSeq>(copy: Node, node: Node): Node {
    Object.assign(copy, node, 'items' in copy ? { items: [] } : {})
    delete copy.anchor
    const { range } = node
    if (range !== undefined && range !== null)
      copy.range = [range[0] + this.#shift, range[1] + this.#shift, range[2] + this.#shift]
    return copy
  }
}

/** The key is quoted, so that a key `<<` is not taken for a merge. */
function keyAt(key: string, offset: number): Scalar {
  const node = new Scalar(key)
  node.source = key
  node.type = Scalar.QUOTE_DOUBLE
  node.range = [offset, offset, offset]
  return node
}

/** True for a written `null` or `~`. A field without any value was probably forgotten. */
function saysNull(node: unknown): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') !== ''
}

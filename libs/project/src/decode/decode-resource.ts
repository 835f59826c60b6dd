/**
 * Turns a YAML document into a resource. It walks the document's nodes and the resource's zod schema side by
 * side. The schema decides how a scalar is read: where it wants text, `3.10` stays `3.10`. The decoder finds
 * all errors of a document at once, each with its place.
 */
import {
  isResourceKind,
  RESOURCE_SCHEMAS,
  type ResourceKind,
  type ResourceSpec,
} from '@sluice/contracts/resources'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { nearestName } from '@sluice/domain/nearest-name'
import { isAlias, isMap, isScalar, isSeq, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml'
import { z } from 'zod'
import { chooseForm, fieldsOf } from './choose-form.ts'
import {
  filledAlready,
  fillReferences,
  maySecretsStandIn,
  type FilledText,
} from '../files/fill-references.ts'
import { entriesOf, nodeOffset, resolvedNode, type MapEntry, type Resolved } from '../yaml/map-entries.ts'
import { mismatchHint, scalarMessage } from './scalar-message.ts'
import { meantBy, meantType, singleBrace } from './meant.ts'
import { detailAt, didYouMean, fieldName, list, quoted, topOf, type FieldPath, type Place } from './places.ts'
import { fileAt, placeIn } from '../decode/places.ts'
import type { DecodedFields, DecodedResource, DecodeOptions, FieldOrigin } from './decoded.ts'
import type { ResourceDocument } from '../files/read-documents.ts'
import {
  ambiguityOf,
  unsendable,
  wrongTag,
  described,
  fits,
  isScalarShape,
  scalarFor,
  textLast,
  typedValue,
} from '../yaml/scalars.ts'
import {
  formOfType,
  isOptional,
  shapeOf,
  typesOf,
  wantedBy,
  type Schema,
  type Shape,
} from './schema-shape.ts'
import { textOrigin } from '../files/text-origin.ts'
import { quoteIt, unquotedIn, unquotedInside } from '../yaml/yaml-problems.ts'

/** Aliases can make a short file huge. The decoder refuses a resource with more nodes than this. */
export const MAX_NODES = 20_000
export const MAX_DEPTH = 40

/** Decodes one document. It does not throw, whatever the document holds. */
export function decodeResource(document: ResourceDocument, options: DecodeOptions): DecodedResource {
  return new Decoder(document, options).decode()
}

/** Decodes a document that is no resource, by its own schema. */
export function decodeFields(
  document: ResourceDocument,
  schema: Schema,
  options: DecodeOptions,
): DecodedFields {
  return new Decoder(document, options).decodeFields(schema)
}

/** Stands for a value that could not be read. Its problem is already reported. */
const UNREADABLE = Symbol('unreadable')

/** One document's decoding; used once. */
class Decoder {
  readonly #document: ResourceDocument
  readonly #options: DecodeOptions
  readonly #origins = new Map<string, FieldOrigin>()
  readonly #problems: ErrorDetail[] = []
  readonly #texts = new Map<string, string>()
  #kind = ''
  #label = ''
  #nodes = 0
  #tooLarge = false

  constructor(document: ResourceDocument, options: DecodeOptions) {
    this.#document = document
    this.#options = options
  }

  decode(): DecodedResource {
    const { name, offset, isOne } = this.#begin()
    const kind = this.#kind
    const { map } = this.#document
    const spec = !isOne
      ? null
      : isResourceKind(kind)
        ? this.#decodeAs(kind, map)
        : this.#refuseKind(kind, offset)
    return {
      kind,
      name: this.#texts.get('name') ?? name,
      spec,
      texts: this.#texts,
      origins: this.#origins,
      problems: this.#problems,
    }
  }

  decodeFields(schema: Schema): DecodedFields {
    const { isOne } = this.#begin()
    const { map } = this.#document
    const value = isOne ? this.#decode({ node: map, offset: nodeOffset(map) ?? 0 }, schema, []) : UNREADABLE
    return { value, label: this.#label, origins: this.#origins, problems: this.#problems }
  }

  /**
   * Reads kind and name, for messages. `offset` is the place of the kind. `isOne` is false if the document
   * holds two resources.
   */
  #begin(): { readonly name: string | null; readonly offset: number; readonly isOne: boolean } {
    const start = nodeOffset(this.#document.map) ?? 0
    this.#setOrigin([], start, start)
    const { node, offset } = this.#ownField('kind')
    this.#kind = isScalar(node) ? (node.source ?? '') : ''
    const name = this.#readName()
    this.#label = name === null ? this.#kind : `${this.#kind} ${quoted(name)}`
    const second = this.#secondKind()
    if (second !== null)
      this.#report(second, ['kind'], 'a second `kind`: write a line `---` between two resources')
    return { name, offset, isOne: second === null }
  }

  /**
   * The value of a field, with aliases and merges resolved. If the document lacks the field, the place of the
   * document.
   */
  #ownField(name: string): Resolved {
    const { map, document } = this.#document
    const entry = entriesOf(map, document).entries.find(({ key }) => key === name)
    if (entry === undefined) return { node: undefined, offset: nodeOffset(map) ?? 0 }
    return resolvedNode(entry.value, document)
  }

  /** The place of a second `kind`, where somebody forgot to separate two resources. */
  #secondKind(): number | null {
    const { map, document } = this.#document
    return entriesOf(map, document).problems.find(({ key }) => key === 'kind')?.offset ?? null
  }

  #readName(): string | null {
    const { node } = this.#ownField('name')
    return isScalar(node) && node.source !== undefined && node.source !== '' ? node.source : null
  }

  #refuseKind(kind: string, offset: number): null {
    const kinds = Object.keys(RESOURCE_SCHEMAS)
    this.#label = ''
    this.#report(
      offset,
      ['kind'],
      `unknown kind ${quoted(kind)}${didYouMean(kind, kinds)}; wanted one of ${list(kinds)}`,
    )
    return null
  }

  #decodeAs(kind: ResourceKind, map: YAMLMap): ResourceSpec | null {
    const { node: typeNode, offset: typeOffset } = this.#ownField('type')
    const type = isScalar(typeNode) ? this.#filled(typeNode, ['type']).text : ''
    const schema = RESOURCE_SCHEMAS[kind]
    const form = formOfType(schema, type)
    if (form === null) return this.#refuseType(typesOf(schema), { node: typeNode, offset: typeOffset })
    const value = this.#decode({ node: map, offset: nodeOffset(map) ?? 0 }, form, [])
    return this.#problems.length > 0 ? null : schema.parse(value)
  }

  #refuseType(types: readonly string[], { node, offset }: Resolved): null {
    const wanted = `wanted one of ${list(types)}`
    if (!isScalar(node)) this.#report(offset, ['type'], `the field \`type\` is missing; ${wanted}`)
    else {
      const found = node.source ?? ''
      const meant = this.#kind === 'source' ? meantType(found) : ''
      const hint = meant === '' ? didYouMean(found, types) : meant
      this.#report(offset, ['type'], `${wanted}, found ${described(node)}${hint}`)
    }
    return null
  }

  #setOrigin(path: FieldPath, key: number, value: number): void {
    this.#origins.set(fieldName(path), { key: this.#place(key), place: this.#place(value), text: null })
  }

  #decode(found: Resolved, schema: Schema, path: FieldPath): unknown {
    if (++this.#nodes > MAX_NODES || path.length > MAX_DEPTH) return this.#refuseSize(found, path)
    if (isAlias(found.node)) {
      return this.#decode(resolvedNode(found, this.#document.document), schema, path)
    }
    if (!this.#origins.has(fieldName(path))) this.#setOrigin(path, found.offset, found.offset)
    const shape = shapeOf(schema)
    if (shape.kind === 'any') return found.node
    const tag = isScalar(found.node) || isMap(found.node) || isSeq(found.node) ? found.node.tag : undefined
    const tagProblem = wrongTag(tag)
    if (tagProblem !== null) return this.#report(found.offset, path, tagProblem)
    const brace = path[0] === 'triggers' && isScalar(found.node) ? singleBrace(found.node.source ?? '') : null
    if (brace !== null)
      return this.#report(
        this.#document.file.text.indexOf(brace, found.offset),
        path,
        `${quoted(brace)} ends in a single brace; write ${quoted(`${brace}}`)}`,
      )
    const unquoted = unquotedIn(found.node, this.#document.file.text)
    if (unquoted !== null) return this.#report(unquoted.offset, path, quoteIt(unquoted))
    if (shape.kind === 'union') return this.#decodeUnion(found, schema, { path, options: shape.options })
    if (isMap(found.node) && (shape.kind === 'object' || shape.kind === 'record')) {
      return this.#decodeMap(found.node, schema, { shape, path })
    }
    if (isSeq(found.node) && shape.kind === 'list') return this.#decodeList(found.node, schema, path)
    if (isScalar(found.node) && isScalarShape(shape)) return this.#decodeScalar(found.node, [schema], path)
    return this.#mismatch(found, schema, path)
  }

  /** Reports once that the resource is too large. The decoder then reads nothing more. */
  #refuseSize(found: Resolved, path: FieldPath): typeof UNREADABLE {
    if (this.#tooLarge) return UNREADABLE
    this.#tooLarge = true
    this.#nodes = MAX_NODES
    return this.#report(
      found.offset,
      path,
      'the resource is too large or too deep, or an anchor holds itself',
    )
  }

  #decodeUnion(
    found: Resolved,
    schema: Schema,
    { path, options }: { path: FieldPath; options: readonly Schema[] },
  ): unknown {
    const fitting = options.filter(option => fits(found.node, shapeOf(option)))
    const [only] = fitting
    if (only === undefined) return this.#mismatch(found, schema, path)
    if (isScalar(found.node)) return this.#decodeScalar(found.node, fitting, path, schema)
    if (isMap(found.node) && fitting.length > 1) return this.#decodeOneOf(found.node, fitting, path)
    return this.#decode(found, only, path)
  }

  /** Reads a map that may have one of several forms. Its fields decide which. */
  #decodeOneOf(map: YAMLMap, forms: readonly Schema[], path: FieldPath): unknown {
    const { entries } = entriesOf(map, this.#document.document)
    const chosen = chooseForm(
      entries.map(({ key }) => key),
      forms,
    )
    if (chosen.kind === 'form') {
      return this.#decode({ node: map, offset: nodeOffset(map) ?? 0 }, chosen.schema, path)
    }
    const names = fieldsOf(forms)
    const unknown = entries.filter(({ key }) => !names.includes(key))
    for (const entry of unknown) this.#reportUnknown(entry, names, path)
    if (unknown.length > 0) return UNREADABLE
    const at = entries.find(({ key }) => key === chosen.at)
    if (at === undefined) return this.#report(nodeOffset(map) ?? 0, path, chosen.message)
    return this.#report(at.keyOffset, [...path, at.key], chosen.message)
  }

  #mismatch(found: Resolved, schema: Schema, path: FieldPath): typeof UNREADABLE {
    const unquoted = unquotedInside(found.node, this.#document.file.text)
    if (unquoted !== null) return this.#report(unquoted.offset, path, quoteIt(unquoted))
    const hints = `${mismatchHint(found.node, schema, path)}${meantBy(found.node, path)}`
    const message = `wanted ${wantedBy(schema)}, found ${described(found.node)}${hints}`
    return this.#report(found.offset, path, message)
  }

  #decodeMap(
    map: YAMLMap,
    schema: Schema,
    { shape, path }: { shape: Extract<Shape, { kind: 'object' | 'record' }>; path: FieldPath },
  ): unknown {
    const before = this.#problems.length
    const decodedFields: [string, unknown][] = []
    const { entries, problems } = entriesOf(map, this.#document.document)
    for (const { key, offset, message } of problems) {
      this.#report(offset, key === null ? path : [...path, key], message)
    }
    for (const entry of entries) {
      const field = [...path, entry.key]
      const fieldSchema = shape.kind === 'record' ? shape.value : ownField(shape.fields, entry.key)
      if (fieldSchema === undefined) continue
      if (shape.kind === 'record') this.#checkKey(entry, shape.key, field)
      this.#setOrigin(field, entry.keyOffset, entry.value.offset)
      const decoded = this.#decode(entry.value, fieldSchema, field)
      decodedFields.push([entry.key, decoded])
      if (path.length === 0 && typeof decoded === 'string') this.#texts.set(entry.key, decoded)
    }
    if (shape.kind === 'object') this.#checkFieldNames(entries, shape.fields, path)
    const own = Object.fromEntries(decodedFields)
    const value = path.length === 0 ? this.#withDefaults(own) : own
    if (this.#problems.length === before) this.#checkWhole(value, schema, path)
    return value
  }

  /**
   * The fields of a sync, with defaults for the fields that it lacks. A field of the sync replaces its
   * default as a whole.
   */
  #withDefaults(own: { readonly [field: string]: unknown }): { readonly [field: string]: unknown } {
    const { defaults } = this.#options
    if (this.#kind !== 'sync' || defaults === undefined || defaults === null) return own
    for (const [field, origin] of defaults.origins)
      if (!Object.hasOwn(own, topOf(field))) this.#origins.set(field, origin)
    return { ...defaults.values, ...own }
  }

  /**
   * Reports unknown and missing fields. A misspelled name is reported only once, though it is unknown and
   * another name is missing.
   */
  #checkFieldNames(
    entries: readonly MapEntry[],
    fields: { readonly [name: string]: Schema },
    path: FieldPath,
  ): void {
    const names = Object.keys(fields).filter(name => path.length > 0 || name !== 'kind')
    const accountedFor = new Set(entries.map(entry => entry.key))
    for (const { key, keyOffset } of entries) {
      if (ownField(fields, key) !== undefined) continue
      accountedFor.add(nearestName(key, names) ?? key)
      this.#reportUnknown({ key, keyOffset }, names, path)
    }
    for (const [name, schema] of Object.entries(fields)) {
      if (!accountedFor.has(name) && !isOptional(schema)) this.#reportMissing(name, schema, path)
    }
  }

  #reportUnknown(
    { key, keyOffset }: Pick<MapEntry, 'key' | 'keyOffset'>,
    names: readonly string[],
    path: FieldPath,
  ): void {
    const where = path.length === 0 ? '' : ` of \`${fieldName(path)}\``
    const hint = didYouMean(key, names)
    const fields = `${hint === '' ? '; the' : `${hint} The`} fields${where} are ${list(names)}`
    this.#report(keyOffset, [...path, key], `unknown field ${quoted(key)}${fields}`)
  }

  #reportMissing(name: string, schema: Schema, path: FieldPath): void {
    const message = `${this.#label}: the field \`${name}\` is missing; wanted ${wantedBy(schema)}`
    this.#problems.push(detailAt(this.#originOf(path).key, [...path, name], message))
  }

  #checkKey(entry: MapEntry, schema: Schema, field: FieldPath): void {
    const wrong = unsendable(entry.key)
    if (wrong !== null) this.#report(entry.keyOffset, field, `wanted a name without ${wrong}`)
    // In a JavaScript object this name sets the prototype, so the field would be lost.
    if (entry.key === '__proto__') this.#report(entry.keyOffset, field, 'no field can be called `__proto__`')
    const issue = z.safeParse(schema, entry.key).error?.issues[0]
    if (issue !== undefined) {
      this.#report(entry.keyOffset, field, `wanted ${issue.message}, found ${quoted(entry.key)}`)
    }
  }

  /** Checks the schema's demands on a map or list as a whole, once each part of it is right. */
  #checkWhole(value: unknown, schema: Schema, path: FieldPath): void {
    for (const issue of z.safeParse(schema, value).error?.issues ?? []) {
      const at = [...path, ...issue.path.filter(part => typeof part !== 'symbol')]
      this.#problems.push(detailAt(this.#originOf(at).place, at, `${this.#label}: wanted ${issue.message}`))
    }
  }

  /** The origin of a field. If the document lacks the field, the origin of the nearest map around it. */
  #originOf(path: FieldPath): FieldOrigin {
    for (let length = path.length; length >= 0; length--) {
      const origin = this.#origins.get(fieldName(path.slice(0, length)))
      if (origin !== undefined) return origin
    }
    return { key: this.#place(0), place: this.#place(0), text: null }
  }

  #decodeList(node: YAMLSeq, schema: Schema, path: FieldPath): unknown {
    const before = this.#problems.length
    const shape = shapeOf(schema)
    if (shape.kind !== 'list') return UNREADABLE
    const value = node.items.map((item, index) => {
      const offset = nodeOffset(item) ?? nodeOffset(node) ?? 0
      return this.#decode({ node: item, offset }, shape.element, [...path, index])
    })
    if (this.#problems.length === before) this.#checkWhole(value, schema, path)
    return value
  }

  /**
   * Reads a scalar with the first of the schemas that accepts it. Messages describe the schema `whole`.
   */
  #decodeScalar(node: Scalar, schemas: readonly Schema[], path: FieldPath, whole?: Schema): unknown {
    const offset = nodeOffset(node) ?? 0
    const filled = this.#fill(node, path)
    if (filled.problems.length > 0) return UNREADABLE
    this.#origins.set(fieldName(path), {
      ...this.#originOf(path),
      text: textOrigin(this.#document.file, node, filled.text),
    })
    const typed = filled.whole ? typedValue(filled.text) : filled.changed ? filled.text : node.value
    const wrong = unsendable(filled.text)
    if (wrong !== null) return this.#report(offset, path, `wanted text without ${wrong}`)
    const ambiguity = ambiguityOf(node, { text: filled.text, typed }, schemas)
    if (ambiguity !== null) return this.#report(offset, path, ambiguity)
    let message: string | null = null
    for (const schema of textLast(schemas)) {
      const value = scalarFor(shapeOf(schema), filled.text, typed)
      if (value === undefined) continue
      if (filled.text === '' && node.type === 'PLAIN' && !filled.changed) continue
      const issue = z.safeParse(schema, value).error?.issues[0]
      if (issue === undefined) return value
      message ??= shapeOf(schema).kind === 'literals' ? null : issue.message
    }
    const [first] = schemas
    if (first === undefined) return UNREADABLE
    const wanted = whole === undefined ? (message ?? wantedBy(first)) : wantedBy(whole)
    return this.#report(offset, path, scalarMessage(node, filled, { wanted, schemas, path }))
  }

  #fill(node: Scalar, path: FieldPath): FilledText {
    const filled = this.#filled(node, path)
    for (const problem of filled.problems) this.#report(nodeOffset(node) ?? 0, path, problem)
    return filled
  }

  #filled(node: Scalar, path: FieldPath): FilledText {
    const { file } = this.#document
    const secretsAllowed = maySecretsStandIn(this.#kind, path)
    if (this.#options.isFilled === true) return filledAlready(node.source ?? '', { secretsAllowed })
    return fillReferences(node.source ?? '', {
      env: this.#options.env,
      readFile: name => this.#options.readFile(fileAt(file, nodeOffset(node) ?? 0).folder, name),
      secretsAllowed,
    })
  }

  #place(offset: number): Place {
    return placeIn(this.#document.file, offset)
  }

  #report(offset: number, path: FieldPath, message: string): typeof UNREADABLE {
    const label = this.#label === '' ? '' : `${this.#label}: `
    this.#problems.push(detailAt(this.#place(offset), path, `${label}${message}`))
    return UNREADABLE
  }
}

function ownField(fields: { readonly [name: string]: Schema }, name: string): Schema | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

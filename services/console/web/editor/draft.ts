/**
 * The draft of an editor: the four resources of a sync as YAML texts. A form changes single values of a text,
 * and leaves comments, order and everything else as they are.
 */
import type { ResourceView } from '@sluice/contracts/api'
import { parseDocument } from 'yaml'
import { removeAt, setAt, withScalar, type Path } from './change-yaml.ts'
import { documentOf, read, type Unreadable } from './read-yaml.ts'

export const KINDS = ['source', 'model', 'destination', 'sync'] as const
export type Kind = (typeof KINDS)[number]

/** The texts. A resource that is not edited has the server's text. */
export type Draft = { readonly [kind in Kind]: string }
export type { Path } from './change-yaml.ts'

/** The file name that problems have for the text of a kind. */
export const fileOf = (kind: Kind): string => `${kind}.yaml`

/**
 * Returns why a form cannot show a text. Null if it can: the text has the fields of a resource, or nothing
 * yet.
 */
export function unreadableIn(text: string): Unreadable | null {
  const { value, wrong } = read(text)
  if (wrong !== null) return wrong
  if (value === null || (typeof value === 'object' && !Array.isArray(value))) return null
  return { message: 'This text needs fields, such as `kind: source`.', line: 1, column: 1 }
}

/**
 * The value at a path, or undefined. A text that is not valid YAML is read as far as possible. The value is
 * shared, so nobody changes it.
 */
export function valueAt(text: string, path: Path): unknown {
  let at = read(text).value
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = Object.entries(at).find(([name]) => name === String(part))?.[1]
  }
  return at
}

export function textAt(text: string, path: Path): string {
  const value = valueAt(text, path)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : ''
}

/**
 * Sets the value at a path. Undefined removes it, and maps that become empty. A text that a form cannot show
 * stays as it is.
 */
export function withValue(text: string, path: Path, value: unknown): string {
  if (unreadableIn(text) !== null) return text
  const alike = withScalar(text, { path, value })
  if (alike !== null) return alike
  const document = documentOf(text)
  if (value === undefined) removeAt(document, path)
  else setAt(document, path, value)
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

/** The fields that refer to a resource of another kind. */
const REFERENCES: readonly (readonly [from: Kind, field: string, to: Kind])[] = [
  ['model', 'source', 'source'],
  ['sync', 'model', 'model'],
  ['sync', 'destination', 'destination'],
]

/**
 * Sets the text of a kind. If that renames the resource, the texts that refer to it follow, except `fixed`.
 */
export function withText(draft: Draft, kind: Kind, text: string, fixed: readonly Kind[] = []): Draft {
  const [before, after] = [nameIn(draft[kind]), nameIn(text)]
  const changed: { [kind in Kind]: string } = { ...draft, [kind]: text }
  if (before === after || unreadableIn(text) !== null) return changed
  for (const [from, field, to] of REFERENCES)
    if (to === kind && !fixed.includes(from) && textAt(draft[from], [field]) === before)
      changed[from] = withValue(draft[from], [field], after)
  return changed
}

export function nameIn(text: string): string {
  return textAt(text, ['name'])
}

/** True for a sync that nobody has to run: it starts by itself, and sends changes as they come. */
export const isStream = (sync: string): boolean => valueAt(sync, ['schedule']) === 'continuous'

/** The columns of the primary key of a model. */
export function keysIn(model: string): readonly string[] {
  const value = valueAt(model, ['primaryKey'])
  if (Array.isArray(value)) return value.map(String)
  return typeof value === 'string' && value !== '' ? [value] : []
}

/** The wanted name, with a number behind it if it is taken. */
export function freeName(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted
  for (let number = 2; ; number += 1) if (!taken.includes(`${wanted}-${number}`)) return `${wanted}-${number}`
}

const MAX_NAME = 63
/** Leaves room for the number that `freeName` may add. */
export const MAX_NUMBERED = 60

/**
 * Returns a name made from a text: "HTTP Request - Algolia REST API" becomes http-request-algolia-rest-api.
 * Empty if no letter of the text may stay.
 */
export function nameFrom(text: string, max = MAX_NAME): string {
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase()
  const dashed = plain.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')
  return dashed.slice(0, max).replace(/-$/, '')
}

/** A draft in the form of the API. A kind that is not chosen yet has no document. */
export function documentsOf(draft: Draft): readonly { readonly file: string; readonly yaml: string }[] {
  return KINDS.filter(kind => draft[kind] !== '').map(kind => ({ file: fileOf(kind), yaml: draft[kind] }))
}

/** Writes the fields of a resource as YAML. */
export function yamlOf(kind: string, name: string, spec: { readonly [field: string]: unknown }): string {
  const document = parseDocument(`kind: ${kind}\n`)
  document.set('name', name)
  for (const [field, value] of Object.entries(spec)) document.set(field, document.createNode(value))
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

/** The YAML of a stored resource: its author's text, or its fields if no text is kept. */
export function textOf({
  kind,
  name,
  spec,
  text,
}: Pick<ResourceView, 'kind' | 'name' | 'spec' | 'text'>): string {
  return text ?? yamlOf(kind, name, spec)
}

/** Marks queries whose answers depend on the draft, so that saving does not renew them. */
export const OF_DRAFT = { of: 'draft' } as const

export const STARTING_DRAFT: Draft = {
  source: 'kind: source\nname: files\ntype: duckdb\npath: .\n',
  model: 'kind: model\nname: customers\nsource: files\nprimaryKey: id\n',
  destination:
    'kind: destination\nname: api\nbaseUrl: https://api.example.com\nlimits:\n  rate: { requests: 100, per: second }\n  concurrency: 10\n',
  sync: [
    'kind: sync',
    'name: customers',
    'model: customers',
    'destination: api',
    'triggers:',
    '  added:',
    '    method: POST',
    '    path: /customers',
    '    body:',
    '      json: |',
    '        {"id": {{ row.id | json }}}',
    '  changed: added',
    '',
  ].join('\n'),
}

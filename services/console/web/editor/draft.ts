/**
 * What somebody is editing: the four resources of a sync as texts in YAML. A form changes single values of a
 * text, and leaves comments, order and the rest of it as they are.
 */
import { isMap, parseDocument, type Document } from 'yaml'

export const KINDS = ['source', 'model', 'destination', 'sync'] as const
export type Kind = (typeof KINDS)[number]

/** The texts. A resource that is not edited here has the text that the server has. */
export type Draft = { readonly [kind in Kind]: string }
export type Path = readonly (string | number)[]

/** How problems name the text of a kind. */
export const fileOf = (kind: Kind): string => `${kind}.yaml`

export function documentOf(text: string): Document {
  return parseDocument(text, { keepSourceTokens: false })
}

/** The value at a path, or undefined. A text that is no YAML has no values. */
export function valueAt(text: string, path: Path): unknown {
  const value: unknown = documentOf(text).toJS()
  let at = value
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

/** The text with another value at a path; undefined takes it away, and what it leaves empty. */
export function withValue(text: string, path: Path, value: unknown): string {
  const document = documentOf(text)
  if (document.errors.length > 0) return text
  if (value === undefined) {
    document.deleteIn(path)
    dropEmptyMaps(document, path.slice(0, -1))
  } else {
    for (let length = 1; length < path.length; length += 1) {
      const above = path.slice(0, length)
      // A scalar, such as `changed: added`, makes room for a map.
      if (document.hasIn(above) && typeof valueAt(text, above) !== 'object') document.deleteIn(above)
    }
    document.setIn(path, typeof value === 'object' ? document.createNode(value) : value)
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

function dropEmptyMaps(document: Document, path: Path): void {
  if (path.length === 0) return
  const node = document.getIn(path)
  if (!isMap(node) || node.items.length > 0) return
  document.deleteIn(path)
  dropEmptyMaps(document, path.slice(0, -1))
}

/** What names a resource of another kind, and in which field. */
const REFERENCES: readonly (readonly [from: Kind, field: string, to: Kind])[] = [
  ['model', 'source', 'source'],
  ['sync', 'model', 'model'],
  ['sync', 'destination', 'destination'],
]

/** The draft with another text of a kind. If that renames the resource, texts that may change follow it. */
export function withText(draft: Draft, kind: Kind, text: string, fixed: readonly Kind[] = []): Draft {
  const [before, after] = [nameIn(draft[kind]), nameIn(text)]
  const changed: { [kind in Kind]: string } = { ...draft, [kind]: text }
  if (before === after || documentOf(text).errors.length > 0) return changed
  for (const [from, field, to] of REFERENCES)
    if (to === kind && !fixed.includes(from) && textAt(draft[from], [field]) === before)
      changed[from] = withValue(draft[from], [field], after)
  return changed
}

export function nameIn(text: string): string {
  return textAt(text, ['name'])
}

/** A draft as the API takes it. */
export function documentsOf(draft: Draft): readonly { readonly file: string; readonly yaml: string }[] {
  return KINDS.map(kind => ({ file: fileOf(kind), yaml: draft[kind] }))
}

/** A stored resource as a text in YAML. */
export function yamlOf(kind: string, name: string, spec: { readonly [field: string]: unknown }): string {
  const document = parseDocument(`kind: ${kind}\n`)
  document.set('name', name)
  for (const [field, value] of Object.entries(spec)) document.set(field, document.createNode(value))
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

/** Marks queries whose answers follow from the draft, and not from what the server has stored. */
export const OF_DRAFT = { of: 'draft' } as const

export const STARTING_DRAFT: Draft = {
  source: 'kind: source\nname: files\ntype: duckdb\npath: .\n',
  model: "kind: model\nname: customers\nsource: files\nsql: select * from 'customers.csv'\nprimaryKey: id\n",
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

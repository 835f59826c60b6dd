/**
 * Changes of single values in a YAML document. Everything else stays as it is, above all comments, even those
 * of a value that is removed.
 */
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Pair,
  visit,
  type Document,
  type Node,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { documentOf, read } from './read-yaml.ts'

export type Path = readonly (string | number)[]

/** Writes a value at a path, and creates the maps above it. */
export function setAt(document: Document, path: Path, value: unknown): void {
  const { contents } = document
  const next = merged(document, isNode(contents) ? contents : null, { path, value })
  document.contents = next
}

/** Removes a value, and maps that become empty. Their comments stay in place. */
export function removeAt(document: Document, path: Path): void {
  const above = path.slice(0, -1)
  const parent = above.length === 0 ? document.contents : document.getIn(above)
  if (isSeq(parent)) {
    parent.delete(Number(path.at(-1)))
    return
  }
  if (!isMap(parent)) return
  const at = indexOf(parent, path.at(-1))
  if (at < 0) return
  if (parent.items.length === 1 && above.length > 0) {
    removeAt(document, above)
    return
  }
  const left = parent.items.filter((_, index) => index !== at)
  leaveComments(parent, commentsIn(parent.items[at]), left.slice(at))
  parent.items = left
}

/**
 * Replaces one scalar and touches nothing else. Null if that is impossible.
 */
export function withScalar(text: string, { path, value }: Change): string | null {
  if (value === undefined || isObject(value)) return null
  const document = documentOf(text)
  const node = document.getIn(path, true)
  if (!isScalar(node) || !node.range) return null
  const [from, to] = node.range
  const sources = sourcesOf(value, { type: node.type, before: text.slice(from, to) })
  const texts = sources.map(source => `${text.slice(0, from)}${source}${text.slice(to)}`)
  setAt(document, path, value)
  const wanted: unknown = document.toJS()
  return (
    texts.find(each => {
      const made = read(each)
      return made.wrong === null && isSame(made.value, wanted)
    }) ?? null
  )
}

/** The ways to write a scalar. The one most like the present way comes first. */
function sourcesOf(
  value: unknown,
  { type, before }: { readonly type: Scalar['type']; readonly before: string },
): readonly string[] {
  if (typeof value !== 'string') return [String(value)]
  if (type === 'BLOCK_LITERAL') return blockOf(value, before)
  if (value.includes('\n')) return []
  if (type === 'QUOTE_DOUBLE') return [JSON.stringify(value)]
  if (type === 'QUOTE_SINGLE') return [`'${value.replaceAll("'", "''")}'`]
  return type === 'PLAIN' ? [value, JSON.stringify(value)] : []
}

/** A block scalar with the header and the indentation of the present one. */
function blockOf(value: string, before: string): readonly string[] {
  const [, comment = ''] = /^\|[-+]?( +#.*)?\n/.exec(before) ?? []
  const indent = /\n( +)\S/.exec(before)?.[1]
  if (indent === undefined || value.trim() === '') return []
  const keeps = value.endsWith('\n\n') ? '+' : value.endsWith('\n') ? '' : '-'
  const lines = value.replace(/\n$/, '').split('\n')
  const shown = lines.map(line => (line === '' ? '' : `${indent}${line}`))
  return [`|${keeps}${comment}\n${shown.join('\n')}\n`]
}

interface Change {
  /** The rest of the path to the value. */
  readonly path: Path
  readonly value: unknown
}

/** Makes the change. Returns the same node if it can hold the result, else a new one. */
function merged(document: Document, node: Node | null, { path, value }: Change): Node {
  const [name, ...rest] = path
  if (name === undefined) return mergedValue(document, node, value)
  if (isAlias(node)) return merged(document, copyOf(document, node), { path, value })
  const change = { path: rest, value }
  if (isSeq(node)) {
    node.items[Number(name)] = merged(document, nodeOrNull(node.items[Number(name)]), change)
    return node
  }
  if (!isMap(node)) return inPlaceOf(node, merged(document, emptyMap(document), { path, value }))
  const pair = node.items[indexOf(node, name)]
  if (pair === undefined) node.items.push(new Pair(document.createNode(name), merged(document, null, change)))
  else pair.value = merged(document, nodeOrNull(pair.value), change)
  return node
}

function mergedValue(document: Document, node: Node | null, value: unknown): Node {
  if (node !== null && isSame(node.toJS(document), value)) return node
  if (isScalar(node) && !isObject(value)) {
    node.value = value
    return node
  }
  if (isMap(node) && isObject(value) && !Array.isArray(value)) return mergedMap(document, node, value)
  if (isSeq(node) && Array.isArray(value)) return mergedList(document, node, value)
  return inPlaceOf(node, document.createNode(value))
}

/** A map with these entries in their order. Entries that it had before keep their comments. */
function mergedMap(document: Document, map: YAMLMap, value: object): Node {
  const before = [...map.items]
  const named = new Map(before.toReversed().map(pair => [nameOf(pair), pair]))
  const first = before[0]?.key
  // A comment above the first entry moves with it.
  if (isNode(first) && map.commentBefore) {
    first.commentBefore = joined([map.commentBefore], first.commentBefore)
    delete map.commentBefore
  }
  const wanted = Object.entries(value)
  const names = new Set(wanted.map(([name]) => name))
  map.items = wanted.map(([name, each]) => {
    const pair = named.get(name)
    if (pair === undefined) return new Pair(document.createNode(name), document.createNode(each))
    pair.value = mergedValue(document, nodeOrNull(pair.value), each)
    return pair
  })
  const isLeft = (pair: Pair): boolean => names.has(nameOf(pair))
  before.forEach((pair, at) => {
    if (!isLeft(pair)) leaveComments(map, commentsIn(pair), before.slice(at + 1).filter(isLeft))
  })
  return map
}

/** A list with these items. An item that it had before keeps its comments, wherever it is now. */
function mergedList(document: Document, list: YAMLSeq, value: readonly unknown[]): Node {
  const before = list.items.filter(isNode)
  const items = value.map(each => {
    const at = before.findIndex(node => isSame(node.toJS(document), each))
    return at < 0 ? document.createNode(each) : before.splice(at, 1)[0]
  })
  list.items = items
  leaveComments(
    list,
    before.flatMap(node => commentsIn(node)),
    [],
  )
  return list
}

/** Gives a node's comments to the node that replaces it. */
function inPlaceOf(node: Node | null, next: Node): Node {
  if (node === null || node === next) return next
  const { comment = null } = node
  if (comment !== null) next.comment = comment
  const others = commentsIn(node).filter(text => text !== comment)
  if (others.length > 0) next.commentBefore = joined(others, next.commentBefore)
  return next
}

/** Puts comments above the next entry, or at the end of the list or map if there is none. */
function leaveComments(
  parent: YAMLMap | YAMLSeq,
  comments: readonly string[],
  behind: readonly Pair[],
): void {
  if (comments.length === 0) return
  const key = behind[0]?.key
  if (isNode(key)) key.commentBefore = joined(comments, key.commentBefore)
  else parent.comment = joined(parent.comment ? [parent.comment, ...comments] : comments, null)
}

/** All comments of a node and of its contents, in their order. */
function commentsIn(root: Pair | Node | undefined): string[] {
  const found: string[] = []
  const take = (text: string | null | undefined): void => {
    if (typeof text === 'string' && text !== '') found.push(text)
  }
  const read = (node: unknown): void => {
    if (isPair(node)) {
      read(node.key)
      read(node.value)
      return
    }
    if (!isNode(node)) return
    take(node.commentBefore)
    if (isMap(node) || isSeq(node)) for (const item of node.items) read(item)
    take(node.comment)
  }
  read(root)
  return found
}

const joined = (first: readonly string[], last: string | null | undefined): string =>
  [...first, ...(last ? [last] : [])].join('\n')

function copyOf(document: Document, node: Node): Node {
  const copy = document.createNode(node.toJS(document))
  // Two nodes may not have the same anchor.
  visit(copy, { Node: (_, each) => void delete each.anchor })
  return copy
}

const emptyMap = (document: Document): Node => document.createNode({})
const nodeOrNull = (value: unknown): Node | null => (isNode(value) ? value : null)
const nameOf = ({ key }: Pair): string => String(isScalar(key) ? key.value : key)
const indexOf = ({ items }: { readonly items: readonly Pair[] }, name: unknown): number =>
  items.findIndex(pair => nameOf(pair) === String(name))

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/**
 * The entries of a YAML map, with anchors and `<<` followed. A map's own entries win over merged ones, and
 * earlier merged maps win over later ones.
 */
import { isAlias, isMap, isScalar, isSeq, type YAMLMap } from 'yaml'
import type { YamlDocument } from '../decode/places.ts'

/** A node and its place. A missing value has the place where its key ends. */
export interface Resolved {
  readonly node: unknown
  readonly offset: number
}

export interface MapEntry {
  readonly key: string
  readonly keyOffset: number
  readonly value: Resolved
}

interface MapProblem {
  readonly key: string | null
  readonly offset: number
  readonly message: string
}

export interface MapEntries {
  readonly entries: readonly MapEntry[]
  /** `key` is the field that is wrong, or null for the map as a whole. */
  readonly problems: readonly MapProblem[]
}

/** Merges can contain merges, even themselves. The decoder follows at most this many maps for one map. */
const MAX_MERGED_MAPS = 1000

/** The offset at which a node begins, or undefined where the file has none. */
export function nodeOffset(node: unknown): number | undefined {
  if (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) return node.range?.[0]
  return undefined
}

/** The node that an alias stands for. Other nodes stay as they are. An alias never resolves to an alias. */
export function resolvedNode(found: Resolved, document: YamlDocument): Resolved {
  if (!isAlias(found.node)) return found
  const node = found.node.resolve(document)
  return { node: node ?? null, offset: found.offset }
}

/** The entries of a map in the order of the file, merged ones last. */
export function entriesOf(map: YAMLMap, document: YamlDocument): MapEntries {
  const found: Found = { entries: new Map(), problems: [], merged: 0 }
  collect(map, document, found)
  return { entries: [...found.entries.values()], problems: found.problems }
}

interface Found {
  readonly entries: Map<string, MapEntry>
  readonly problems: MapProblem[]
  merged: number
}

function collect(map: YAMLMap, document: YamlDocument, found: Found): void {
  const merged: Resolved[] = []
  const own = new Set<string>()
  for (const pair of map.items) {
    const keyOffset = nodeOffset(pair.key) ?? nodeOffset(map) ?? 0
    const value = { node: pair.value, offset: nodeOffset(pair.value) ?? keyOffset }
    const key = isScalar(pair.key) ? pair.key.source : undefined
    if (key === undefined) {
      found.problems.push({ key: null, offset: keyOffset, message: 'wanted text as the name of a field' })
    } else if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
      merged.push(value)
    } else if (own.has(key)) {
      const message = `the field \`${key}\` stands twice in the same map; keep one of them`
      found.problems.push({ key, offset: keyOffset, message })
    } else {
      own.add(key)
      if (!found.entries.has(key)) found.entries.set(key, { key, keyOffset, value })
    }
  }
  for (const source of merged) collectMerged(source, document, found)
}

function collectMerged(source: Resolved, document: YamlDocument, found: Found): void {
  const { node, offset } = resolvedNode(source, document)
  if (++found.merged > MAX_MERGED_MAPS) {
    if (found.merged === MAX_MERGED_MAPS + 1) {
      found.problems.push({
        key: null,
        offset,
        message: 'too many maps to merge, or a `<<` that merges a map into itself',
      })
    }
  } else if (isMap(node)) {
    collect(node, document, found)
  } else if (isSeq(node)) {
    for (const item of node.items) {
      collectMerged({ node: item, offset: nodeOffset(item) ?? offset }, document, found)
    }
  } else {
    found.problems.push({ key: null, offset, message: 'wanted a map, or a list of maps, to merge with `<<`' })
  }
}

/** Reads the tree that DuckDB's parser makes of a query, as JSON. */
import type { DuckDBConnection } from '@duckdb/node-api'

export interface Node {
  readonly [name: string]: unknown
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Gives all nodes of a tree. It walks without recursion, since a query may be nested very deep. The last of
 * several siblings comes first.
 */
export function* nodesOf(tree: unknown): Generator<Node> {
  const open: unknown[] = [tree]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (Array.isArray(node)) {
      for (const item of node) open.push(item)
      continue
    }
    if (!isNode(node)) continue
    yield node
    for (const child of Object.values(node)) if (typeof child === 'object') open.push(child)
  }
}

/** Returns the text of a constant; null for any other node. */
export function constantText(node: unknown): string | null {
  const value = isNode(node) && isNode(node['value']) ? node['value']['value'] : null
  return typeof value === 'string' ? value : null
}

/** Parses SQL. If DuckDB cannot parse it, the tree has the error. */
export async function treeOf(connection: DuckDBConnection, sql: string): Promise<unknown> {
  const reader = await connection.runAndReadAll(
    'SELECT json_serialize_sql($1::VARCHAR, skip_null := true, skip_default := true)',
    [sql],
  )
  return JSON.parse(String(reader.getRows()[0]?.[0]))
}

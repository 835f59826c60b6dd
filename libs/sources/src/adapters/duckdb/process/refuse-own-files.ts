/**
 * Keeps queries from what runs keep in a project folder: the key of the vault, the log, and the caches. A
 * source may well be that folder, and DuckDB can only be told which folders it may read, not which it may
 * not.
 *
 * So a query names its files as plain texts, and the files that such a text stands for are looked at before
 * DuckDB opens one.
 */
import { realpathSync } from 'node:fs'
import { relative, sep } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ModelSpec } from '@sluice/contracts/resources'
import { refused } from '../../query/read-only-query.ts'
import { isNode, nodesOf, type Node } from './tree-nodes.ts'

const STATE_FOLDER = '.sluice'
/** The allowed functions that open files. The first of their values says which. */
const FILE_FUNCTIONS = /^(read_.*|parquet_.*|sniff_csv|glob)$/i
const LISTS: ReadonlySet<unknown> = new Set(['list_value', 'ARRAY_CONSTRUCTOR'])

export interface OwnFilesOptions {
  readonly model: ModelSpec
  /** The folder of the source, without links. */
  readonly folder: string
}

/** Rejects with `query` for SQL that reads such a file. `tree` is that of DuckDB's parser. */
export async function refuseOwnFiles(
  connection: DuckDBConnection,
  tree: unknown,
  { model, folder }: OwnFilesOptions,
): Promise<void> {
  for (const name of namesIn(tree, model)) {
    const files = await filesOf(connection, name)
    if ([name, ...files].some(file => isOwn(file, folder)))
      throw refused(model, `it reads files below ${STATE_FOLDER}, which are those of Sluice`)
  }
}

/** The files that a pattern stands for. What DuckDB may not open it will not open later either. */
async function filesOf(connection: DuckDBConnection, pattern: string): Promise<readonly string[]> {
  try {
    const reader = await connection.runAndReadAll('SELECT file FROM glob($1::VARCHAR)', [pattern])
    return reader.getRows().map(([file]) => String(file))
  } catch {
    return []
  }
}

function isOwn(file: string, folder: string): boolean {
  const path = file.replace(/^file:\/*/i, '/')
  return [path, realPathOf(path)].some(each =>
    relative(folder, each)
      .split(sep)
      .some(part => part.toLowerCase() === STATE_FOLDER),
  )
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function namesIn(tree: unknown, model: ModelSpec): ReadonlySet<string> {
  return new Set([...nodesOf(tree)].flatMap(node => [...tableNames(node), ...argumentNames(node, model)]))
}

/** DuckDB reads a file where there is no such table. A name of a file has a dot. */
function tableNames(node: Node): readonly string[] {
  if (node['type'] !== 'BASE_TABLE') return []
  const parts = ['catalog_name', 'schema_name', 'table_name'].map(part => node[part])
  const name = parts.filter(part => typeof part === 'string').join('.')
  return name.includes('.') ? [name] : []
}

function argumentNames({ type, function: called }: Node, model: ModelSpec): readonly string[] {
  if (type !== 'TABLE_FUNCTION' || !isNode(called)) return []
  const { function_name: name, children } = called
  if (!FILE_FUNCTIONS.test(String(name)) || !Array.isArray(children)) return []
  const first: unknown = children.find(child => !isOption(child))
  if (first === undefined) return []
  const texts = isNode(first) && isList(first) ? first['children'] : [first]
  return (Array.isArray(texts) ? texts : [null]).map((each: unknown) => textOf(each, model))
}

/** `header = false` or `header := false`. */
function isOption(child: unknown): boolean {
  return isNode(child) && (child['alias'] !== undefined || child['type'] === 'COMPARE_EQUAL')
}

function isList({ type, function_name: name }: Node): boolean {
  return LISTS.has(name) || LISTS.has(type)
}

function textOf(constant: unknown, model: ModelSpec): string {
  const value = isNode(constant) && isNode(constant['value']) ? constant['value']['value'] : null
  if (typeof value === 'string') return value
  throw refused(model, 'it works out the name of a file; write the name as a text')
}

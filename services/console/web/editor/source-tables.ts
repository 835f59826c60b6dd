/** The tables that a source's login may read, with their columns and primary keys. */
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { fieldsOf } from '../ui/fields-of.ts'
import { OF_DRAFT, textAt } from './draft.ts'
import { isReachable, queriedRows } from './model-rows.ts'
import { serverParts } from './server-url.ts'
import { useRested } from './use-editing.ts'

export interface SourceTable {
  readonly schema: string
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** The columns of the primary key, in its order. Empty if the table has none. */
  readonly key: readonly string[]
}

export interface FoundTables {
  readonly tables: readonly SourceTable[]
  /** True if more tables fit what was searched for. */
  readonly more: boolean
}

/** A source answers with this many rows at most. */
const MAX_TABLES = 99
const TYPED_MS = 300

/** True for a source whose tables can be listed. */
export const hasTables = (source: string): boolean => Object.hasOwn(TABLES_SQL, textAt(source, ['type']))

/** The tables whose name holds the searched text. None for a source of files. */
export function useSourceTables(source: string, search = ''): UseQueryResult<FoundTables> {
  const rested = useRested(source, TYPED_MS)
  const searched = useRested(search.trim().toLowerCase(), TYPED_MS)
  return useQuery({
    queryKey: ['tables', rested, searched],
    queryFn: async ({ signal }) => {
      const sql = TABLES_SQL[textAt(rested, ['type'])]?.(likeOf(searched)) ?? ''
      const { rows } = await queriedRows(rested, { sql, limit: MAX_TABLES + 1 }, signal)
      return { tables: rows.slice(0, MAX_TABLES).map(tableOf), more: rows.length > MAX_TABLES }
    },
    enabled: hasTables(rested) && isReachable(rested),
    placeholderData: before => before,
    ...ONCE_WHEN_THERE_IS_ROOM,
    staleTime: 60_000,
    meta: OF_DRAFT,
  })
}

/**
 * `key` is the place of a column in the primary key, and −1 for a column outside of it. PostgreSQL’s
 * `information_schema` shows no keys to a login that may only read, so the query reads PostgreSQL's catalog.
 */
const TABLES_SQL: { readonly [type: string]: (like: string) => string } = {
  postgres: like => `select n.nspname as schema, c.relname as name, (
    select json_agg(json_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'at', a.attnum, 'key', coalesce(array_position(i.indkey::int2[], a.attnum), -1)))::text
    from pg_catalog.pg_attribute a left join pg_catalog.pg_index i on i.indrelid = a.attrelid and i.indisprimary
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as found
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and lower(n.nspname || '.' || c.relname) like '${like}'
    and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_any_column_privilege(c.oid, 'select')
  order by n.nspname <> 'public', n.nspname, c.relname`,
  mysql: like => `select table_schema as \`schema\`, table_name as name,
    cast(json_arrayagg(json_object('name', column_name, 'type', column_type, 'at', ordinal_position,
      'key', if(column_key = 'PRI', ordinal_position, -1))) as char) as found
  from information_schema.columns
  where table_schema not in ('information_schema', 'mysql', 'sys', 'performance_schema')
    and lower(concat(table_schema, '.', table_name)) like '${like}'
  group by table_schema, table_name order by table_schema <> database(), table_schema, table_name`,
  sqlite: like => `select 'main' as schema, t.name, (
    select json_group_array(json_object('name', c.name, 'type', c.type, 'at', c.cid, 'key', c.pk - 1))
    from pragma_table_xinfo(t.name) c where c.hidden <> 1) as found
  from sqlite_schema t where t.type in ('table', 'view') and t.name not like 'sqlite\\_%' escape '\\'
    and lower('main.' || t.name) like '${like}'
  order by t.name`,
}

/** A pattern for `like` in single quotes. Names hold no character that would need an escape there. */
const likeOf = (search: string): string =>
  `%${search.replaceAll(/[^\p{L}\p{N}$_ .-]/gu, '').replaceAll(' ', '%')}%`

function tableOf(row: { readonly [column: string]: unknown }): SourceTable {
  const found: unknown = JSON.parse(String(row['found']))
  const columns = (Array.isArray(found) ? found : [])
    .map(fieldsOf)
    .sort((one, other) => Number(one['at']) - Number(other['at']))
  const key = columns
    .filter(column => Number(column['key']) >= 0)
    .sort((one, other) => Number(one['key']) - Number(other['key']))
  const nameOf = (column: { readonly [field: string]: unknown }): string => String(column['name'])
  return {
    ...{ schema: String(row['schema']), name: String(row['name']), key: key.map(nameOf) },
    columns: columns.map(column => ({ name: nameOf(column), type: String(column['type']) })),
  }
}

/** The schema that a query need not name. */
function ownSchema(source: string): string {
  const type = textAt(source, ['type'])
  if (type === 'sqlite') return 'main'
  return type === 'postgres' ? 'public' : (serverParts(textAt(source, ['url']))?.database ?? '')
}

/** Names that need no quotes. PostgreSQL takes a name without quotes in lower case. */
const PLAIN = { postgres: /^[a-z_][a-z0-9_]*$/, others: /^[A-Za-z_][A-Za-z0-9_]*$/ }

/** The name as SQL of the source has it in quotes. */
export function quotedIn(source: string, name: string): string {
  const quote = textAt(source, ['type']) === 'mysql' ? '`' : '"'
  return `${quote}${name.replaceAll(quote, quote + quote)}${quote}`
}

/** A query of the whole table. Names are quoted only if they have to be. */
export function queryOfTable(source: string, { schema, name }: SourceTable): string {
  const plain = textAt(source, ['type']) === 'postgres' ? PLAIN.postgres : PLAIN.others
  const quoted = (part: string): string =>
    plain.test(part) && !RESERVED.has(part.toLowerCase()) ? part : quotedIn(source, part)
  const parts = schema === ownSchema(source) ? [name] : [schema, name]
  return `select * from ${parts.map(quoted).join('.')}`
}

/** Words that people call tables by, and that SQL keeps for itself. */
const RESERVED = new Set(
  'all,analyze,and,any,array,as,asc,between,by,case,check,collate,column,condition,constraint,create,cross,current_date,current_user,database,default,delete,desc,distinct,else,end,except,fetch,for,foreign,from,function,grant,group,groups,having,in,index,insert,interval,into,is,join,key,keys,lateral,leading,left,like,limit,lines,lock,match,natural,not,null,offset,on,only,option,or,order,outer,primary,procedure,range,rank,references,release,repeat,rename,right,row,rows,schema,select,session_user,set,show,some,system,system_user,table,then,to,trigger,true,union,unique,update,usage,user,using,values,when,where,window,with'.split(
    ',',
  ),
)

/** The tables for the completion of SQL, each with its columns, also by the names that need no schema. */
export function completions(
  source: string,
  tables: readonly SourceTable[],
): { readonly [table: string]: readonly string[] } {
  const own = ownSchema(source)
  const named = tables.map(({ schema, name, columns }) => {
    const names = columns.map(column => column.name)
    return [schema === own ? name : `${schema}.${name}`, names] as const
  })
  return Object.fromEntries(named)
}

/** The columns of those tables that a query names. */
export function columnsNamedIn(sql: string, tables: readonly SourceTable[]): readonly string[] {
  const words = new Set(sql.toLowerCase().match(/[\p{L}\p{N}_$]+/gu))
  const named = tables.filter(({ name }) => words.has(name.toLowerCase()))
  return [...new Set(named.flatMap(({ columns }) => columns.map(({ name }) => name)))]
}

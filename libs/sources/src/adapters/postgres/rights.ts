/** What a login may do in PostgreSQL beyond reading. */
import type { Client } from 'pg'

/** Predefined roles that reach beyond the database. */
const ROLES = [
  'pg_execute_server_program',
  'pg_read_server_files',
  'pg_write_server_files',
  'pg_write_all_data',
  'pg_signal_backend',
]
const WRITES = 'INSERT, UPDATE, DELETE, TRUNCATE'

/** Phrases such as `is a superuser`; empty if the login only reads. Rejects with pg's error. */
export async function excessRights(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{
    super: boolean
    roles: readonly string[]
    tables: readonly string[]
  }>(
    `SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS super,
       ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles
         WHERE rolname = ANY($1) AND pg_catalog.pg_has_role(oid, 'MEMBER') ORDER BY 1) AS roles,
       ARRAY(SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^(pg_|information_schema$)'
           AND pg_catalog.has_table_privilege(c.oid, '${WRITES}') ORDER BY 1 LIMIT 3) AS tables`,
    [ROLES],
  )
  const [found] = rows
  if (found === undefined) return []
  // A superuser has all else, too.
  if (found.super) return ['is a superuser']
  return [
    ...found.roles.map(role => `is a member of ${role}`),
    ...(found.tables.length === 0 ? [] : [`may write to tables such as ${found.tables.join(', ')}`]),
  ]
}

/** What a login may do in MySQL and MariaDB beyond reading. */
import type { Connection } from 'mysql2'
import { run } from './connection.ts'

/** Rights to look at something. `EXECUTE` is not one, since a procedure has the rights of its owner. */
const READING = new Set(['USAGE', 'SELECT', 'SHOW VIEW', 'SHOW DATABASES', 'PROCESS', 'SHOW CREATE ROUTINE'])

/**
 * Phrases such as `has FILE on *.*`; empty if the login only reads. Rights that come by a role count once the
 * role is the login's default. Rejects with mysql2's error.
 */
export async function excessRights(connection: Connection): Promise<readonly string[]> {
  const rows = await run(connection, 'SHOW GRANTS')
  return rows.flatMap(([grant]) => excessOf(String(grant)))
}

function excessOf(grant: string): readonly string[] {
  const on = grant.indexOf(' ON ')
  const to = grant.indexOf(' TO ', on)
  if (!grant.startsWith('GRANT ') || on < 0 || to < 0) return []
  const [list, place] = [grant.slice('GRANT '.length, on), grant.slice(on + ' ON '.length, to)]
  // SELECT (a, b): rights to columns.
  const rights = list.replaceAll(/ ?\([^()]*\)/g, '').split(', ')
  const excess = rights.filter(right => right !== '' && !READING.has(right.toUpperCase()))
  return excess.length === 0 ? [] : [`has ${excess.join(', ')} on ${place}`]
}

/**
 * Reads where a change stands in the log of its database, out of the block `source` of Debezium.
 *
 * - PostgreSQL: `sequence` has the LSN of the last commit before, and that of the change. A transaction that
 *   wrote earlier and committed later has the later first number.
 * - MySQL and MariaDB: the file of the binlog, the position in it, and the row in the event. A GTID would
 *   outlive a change of the server, and is not in order on a replica.
 *
 * https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-create-events,
 * https://debezium.io/documentation/reference/stable/connectors/mysql.html#mysql-create-events
 */
import { numberText } from './carried-values.ts'
import type { SourcePlace } from './entry.ts'

export const PLACE_DIGITS = 40
export const LONG_DIGITS = 20
const SHORT_DIGITS = 10

/**
 * A first number of null says that the connector has not seen a commit, as in a snapshot. That happens behind
 * its start, too.
 */
const SEQUENCE = /^\[(null|"\d{1,20}"),"(\d{1,20})"\]$/
const BINLOG_FILE = /^(.*)\.(\d{1,10})$/

/** Never throws: what is not as it should be is null. */
export function placeOf(source: { readonly [name: string]: unknown }): SourcePlace {
  const { connector, name, db } = source
  const server = [connector, name].map(textOf).join('/')
  // The rows of an incremental snapshot stand between the changes, as new as those before them. The place
  // that they tell may be an earlier one.
  if (source['snapshot'] === 'incremental') {
    const { node } = binlogPlace(source, server)
    return { server: connector === 'postgresql' ? `${server}/${textOf(db)}` : server, node, place: null }
  }
  if (connector === 'postgresql') {
    const [, commit, change] = SEQUENCE.exec(textOf(source['sequence']).replaceAll(/\s/g, '')) ?? []
    if (commit === undefined || change === undefined)
      return { server: `${server}/${textOf(db)}`, node: null, place: null }
    const lacksCommit = commit === 'null'
    const place =
      (lacksCommit ? '' : commit.slice(1, -1)).padStart(LONG_DIGITS, '0') + change.padStart(LONG_DIGITS, '0')
    return { server: `${server}/${textOf(db)}`, node: null, place, lacksCommit }
  }
  if (connector === 'mysql' || connector === 'mariadb') return binlogPlace(source, server)
  return { server, node: null, place: null }
}

function binlogPlace(source: { readonly [name: string]: unknown }, server: string): SourcePlace {
  const [, base, file] = BINLOG_FILE.exec(textOf(source['file'])) ?? []
  const [pos, row, id] = [source['pos'], source['row'], source['server_id']].map(wholeOf)
  // A snapshot does not tell the server.
  const node =
    base === undefined || id === null || id === undefined || /^0*$/.test(id) ? null : `${id}/${base}`
  if (file === undefined || pos === null || pos === undefined) return { server, node, place: null }
  const place = file.padStart(SHORT_DIGITS, '0') + pos.padStart(LONG_DIGITS, '0')
  return { server, node, place: place + (row ?? '0').padStart(SHORT_DIGITS, '0').slice(-SHORT_DIGITS) }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function wholeOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  try {
    const text = numberText(value)
    return /^\d{1,20}$/.test(text) ? text : null
  } catch {
    return null
  }
}

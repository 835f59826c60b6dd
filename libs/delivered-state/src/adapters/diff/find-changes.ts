/**
 * Makes the diff: the temporary table `found` of the keys to add, change, remove or settle (PROTOCOL.md §2).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { InvalidSample } from '@sluice/contracts/records'
import type { CountsByOp, Op, OpCounts } from '@sluice/contracts/state'
import { type Column, WHY_INVALID } from '@sluice/contracts/values'
import { keySql, sqlTypeOf } from '@sluice/domain/canonical-sql'
import { statusesOf } from '@sluice/domain/answers/status-filter'
import type { DiffRequest, MeantRows, RunPurpose } from '../../port.ts'
import {
  ABSENT,
  ADDED,
  CHANGED,
  CONTENT_UNCERTAIN,
  EXISTENCE_UNCERTAIN,
  PRESENT,
  REMOVED,
  SETTLED,
  UNKNOWN,
  type Shape,
} from '../state/shapes.ts'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import type { KnownRequest } from '../state/known-columns.ts'
import {
  keyToken,
  MAX_TOKEN_BYTES,
  type ModelRows,
  modelRows,
  type SizedRows,
  sizedRows,
} from './model-rows.ts'
import { dropOversizeRows, findOversizeKeys, fitsSql, type OversizeRows } from './oversize-rows.ts'
import type { RowHash } from './row-hash.ts'
import { type KeyPart, keyParts, type Slice } from './row-slices.ts'
import { canonicalText, quoteIdentifier, quoteText } from '../sql/sql-types.ts'
import { findTwins, type FindTwinsOptions } from './twin-keys.ts'
import { rowsOf } from '../sql/rows-of.ts'

export const SAMPLES = 10

/** The view of the extract. Its columns have names that cannot clash with the user's: `rid`, `e0`, `e1`, … */
export const EXTRACTED = 'extracted'
/** The table under the view, if the view cannot use the extract itself. */
export const COPIED = 'extracted_copy'

/** Returns a function that names the column of `extracted` with the values of a model's column. */
export function placeOf(columns: readonly Column[]): (column: Column) => string {
  const places = new Map(columns.map((column, index) => [column.name, `e${index}`]))
  return column => {
    const place = places.get(column.name)
    if (place === undefined) throw new SluiceError('internal', `no column ${column.name} in the extract`)
    return place
  }
}

/**
 * Makes `extracted`, over a copy if a column's name hides DuckDB's row ids. The request's type of a column
 * without values may differ from its type in the extract.
 */
export async function openExtract(
  connection: DuckDBConnection,
  { request, empty }: KnownRequest,
): Promise<void> {
  const { columns } = request
  const named = columns
    .map(({ name, type }, index) =>
      empty.has(name)
        ? `CAST(NULL AS ${sqlTypeOf(type)}) AS e${index}`
        : `${quoteIdentifier(name)} AS e${index}`,
    )
    .join(', ')
  const why = (await hasInvalidRows(connection)) ? quoteIdentifier(WHY_INVALID) : 'NULL::VARCHAR'
  const hidden = hidesRowIds(columns)
  if (hidden)
    await connection.run(`CREATE OR REPLACE TEMP TABLE ${COPIED} AS
      SELECT row_number() OVER () - 1 AS rid, ${why} AS why, ${named} FROM extract.main.rows`)
  const from = hidden ? `* FROM ${COPIED}` : `rowid AS rid, ${why} AS why, ${named} FROM extract.main.rows`
  await connection.run(`CREATE OR REPLACE TEMP VIEW ${EXTRACTED} AS SELECT ${from}`)
}

/** True if the extract has a column in which the source names values that cannot be carried. */
async function hasInvalidRows(connection: DuckDBConnection): Promise<boolean> {
  // This is much faster than DuckDB's list of columns.
  const result = await connection.run('FROM extract.main.rows LIMIT 0')
  return result.columnNames().includes(WHY_INVALID)
}

/** True if a column has the name by which DuckDB knows row ids. */
export function hidesRowIds(columns: readonly Column[]): boolean {
  return columns.some(({ name }) => name.toLowerCase() === 'rowid')
}

/**
 * Returns SQL for a row's key: the canonical text of its key column, or a JSON array of the texts of several.
 */
function keyText(request: DiffRequest): string {
  const place = placeOf(request.columns)
  const texts = keyColumns(request).map(column => canonicalText(column.type, place(column)))
  return keySql(texts)
}

export function keyColumns(request: DiffRequest): readonly Column[] {
  return request.primaryKey.map(name => {
    const column = request.columns.find(c => c.name === name)
    if (column === undefined) {
      const names = request.columns.map(c => c.name).join(', ')
      throw new SluiceError(
        'config',
        `The primary key column "${name}" is not one of the model's columns: ${names}.`,
        {
          details: [{ field: 'primaryKey', message: `no column "${name}"; there are ${names}` }],
        },
      )
    }
    if (column.type.kind === 'list' || column.type.kind === 'struct')
      throw new SluiceError(
        'config',
        `The primary key column "${name}" is a ${column.type.kind}, which cannot be a key.`,
        {
          details: [{ field: 'primaryKey', message: `"${name}" is a ${column.type.kind}` }],
        },
      )
    return column
  })
}

export interface InvalidRows {
  readonly rows: number
  readonly samples: readonly InvalidSample[]
  /**
   * True if some keys have several rows, or one with a value that cannot be carried. The temporary table
   * `ambiguous` lists these keys.
   */
  readonly ambiguous: boolean
  /** The number of parts in which keys are compared, since a join of all keys may not fit into memory. */
  readonly parts: number
}

/**
 * Finds the rows that have no key, share one with another row, or have a value that cannot be carried (R5).
 * `partsFor` returns the number of parts for the mean length of a token in bytes.
 */
export async function findInvalidRows(
  connection: DuckDBConnection,
  request: DiffRequest,
  partsFor: (tokenBytes: number) => number,
): Promise<InvalidRows> {
  const place = placeOf(request.columns)
  const columns = keyColumns(request)
  const fit = partsFor(MAX_TOKEN_BYTES) === 1
  if (fit && (await areAllValid(connection, request)))
    return { rows: 0, samples: [], ambiguous: false, parts: 1 }
  const samples: InvalidSample[] = []
  let rows = 0
  for (const [index, column] of columns.entries()) {
    // A row with several nulls counts once, for the first of them.
    const earlier = columns.slice(0, index).map(c => `${place(c)} IS NOT NULL`)
    const isInvalid = [`${place(column)} IS NULL`, ...earlier].join(' AND ')
    const counted = await rowsOf(connection, `SELECT count(*) FROM ${EXTRACTED} WHERE ${isInvalid}`)
    const count = Number(counted[0]?.[0])
    rows += count
    for (let i = 0; i < count && samples.length < SAMPLES; i++)
      samples.push({ key: null, reason: `primary key column "${column.name}" is null` })
  }
  const key = keyText(request)
  const present = columns.map(column => `${place(column)} IS NOT NULL`).join(' AND ')
  const oversize = await findOversizeKeys(connection, {
    key,
    present,
    extracted: EXTRACTED,
    samples: SAMPLES,
  })
  rows += oversize.rows
  samples.push(...oversize.samples.slice(0, SAMPLES - samples.length))
  const valid = `${present} AND ${fitsSql(key)}`
  const parts = partsFor(oversize.tokenBytes)
  // Hashes are compared first. Equal keys have equal hashes, and 8 bytes a row fit into memory.
  await connection.run('CREATE OR REPLACE TEMP TABLE ambiguous (key VARCHAR, copies BIGINT, rid BIGINT)')
  for (const part of keyParts(parts))
    await connection.run(`
      INSERT INTO ambiguous
      SELECT key, count(*), min(rid) FROM (SELECT rid, ${keyToken(key)} AS key FROM ${EXTRACTED} WHERE ${valid}
        AND hash(${key}) IN (SELECT hash(${key}) FROM ${EXTRACTED} WHERE ${valid} AND ${part(key)} GROUP BY 1 HAVING count(*) > 1))
      GROUP BY key HAVING count(*) > 1`)
  const counted = await rowsOf(connection, 'SELECT count(*), coalesce(sum(copies), 0) FROM ambiguous')
  const [keys, copies] = counted[0] ?? []
  const some = await rowsOf(
    connection,
    `SELECT ${asBytes('key')}, copies FROM (
      SELECT ${key} AS key, a.copies FROM ${EXTRACTED} e JOIN ambiguous a ON a.rid = e.rid
    ) ORDER BY key LIMIT ${SAMPLES}`,
  )
  for (const [sample, n] of some)
    if (samples.length < SAMPLES)
      samples.push({ key: textOfBytes(sample), reason: `${String(n)} rows have this primary key` })
  const misfits = await excludeMisfits(connection, { key, valid })
  samples.push(...misfits.samples.slice(0, SAMPLES - samples.length))
  return {
    rows: rows + Number(copies) + misfits.rows,
    samples,
    ambiguous: Number(keys) + misfits.rows > 0,
    parts,
  }
}

/**
 * True if each row has a key of its own that records can carry, and nothing but values that can be carried.
 * Different hashes prove that keys differ.
 */
async function areAllValid(connection: DuckDBConnection, request: DiffRequest): Promise<boolean> {
  const place = placeOf(request.columns)
  const key = keyText(request)
  const present = keyColumns(request).map(column => `${place(column)} IS NOT NULL`)
  const valid = [...present, 'why IS NULL', fitsSql(key)].join(' AND ')
  const [row] = await rowsOf(
    connection,
    `SELECT count(*) = count(DISTINCT hash(${key})) FILTER (${valid}) FROM ${EXTRACTED}`,
  )
  return row?.[0] === true
}

/** Adds the keys of rows that have a value which cannot be carried to `ambiguous`. */
async function excludeMisfits(
  connection: DuckDBConnection,
  { key, valid }: { readonly key: string; readonly valid: string },
): Promise<{ readonly rows: number; readonly samples: readonly InvalidSample[] }> {
  const misfits = `FROM ${EXTRACTED} WHERE why IS NOT NULL AND ${valid} AND ${keyToken(key)} NOT IN (SELECT key FROM ambiguous)`
  const rows = await rowsOf(
    connection,
    `SELECT ${asBytes(key)}, ${asBytes('why')}, count(*) OVER () ${misfits} ORDER BY ${key} LIMIT ${SAMPLES}`,
  )
  if (rows.length === 0) return { rows: 0, samples: [] }
  await connection.run(`INSERT INTO ambiguous SELECT ${keyToken(key)}, 1, rid ${misfits}`)
  const samples = rows.map(([sample, why]) => ({ key: textOfBytes(sample), reason: textOfBytes(why) ?? '' }))
  return { rows: Number(rows[0]?.[2]), samples }
}

/** The changes of one section, and which columns they have, so that only these are read. */
export interface Section {
  readonly rows: number
  readonly before: boolean
  readonly captured: boolean
  readonly retried: boolean
  /** True if the state knows some of the keys, and thus their partition. */
  readonly known: boolean
}

export interface FoundChanges {
  /** True if the row of a twin of a removed key is sent (twin-keys.ts). */
  readonly sendsTwins: boolean
  /** SQL for the key of an extracted row. */
  readonly key: string
  readonly sized: SizedRows
  /** The slices in which the model's rows are read. Null if rows are narrow. */
  readonly slices: readonly Slice[] | null
  /** True if extract and state have a few rows of few bytes. */
  readonly isSmall: boolean
  readonly oversize: OversizeRows
  readonly settled: Section
  readonly removed: Section
  readonly changed: Section
  readonly added: Section
  /**
   * The number of rows that are settled with columns which they were delivered without, and the names of
   * these columns.
   */
  readonly adopted: { readonly rows: number; readonly columns: readonly string[] }
  /** The number of rows that this diff settles as muted and that were not muted before. */
  readonly muted: number
  /** The number of rows that are skipped since nobody has decided about them. */
  readonly undecided: number
}

export interface DiffedWith {
  readonly hash: RowHash
  readonly shapes: readonly Shape[]
  readonly ambiguous: boolean
  /** Null if the model's rows are narrow. */
  readonly slices: readonly Slice[] | null
  readonly isSmall: boolean
  readonly parts: number
}

type SectionName = 'settled' | 'removed' | 'changed' | 'added'

/**
 * Makes the table `found`, with one row for each key, which it names by its token. `section` is the op, or
 * settled. `rid` and `srid` are the rows of extract and state. For settled keys, `settled_kind` is the new
 * kind, and `takes` says which row the new state has: the model's, the state's, or none.
 */
export async function findChanges(
  connection: DuckDBConnection,
  request: DiffRequest,
  from: DiffedWith,
): Promise<FoundChanges> {
  const { model, incomplete, modelSql, clear } = await rowsToJoin(connection, request, from)
  const modelHash =
    incomplete.length === 0
      ? 'm.hash'
      : `CASE s.shape ${incomplete.map(s => `WHEN ${s.id} THEN m.hash_${s.id}`).join(' ')} ELSE m.hash END`
  const lacks = incomplete.length === 0 ? 'false' : `s.shape IN (${incomplete.map(s => s.id).join(', ')})`
  const ops = { removed: REMOVED, changed: CHANGED, added: ADDED }
  const sent = request.baseline ? [] : [...request.opsWithTrigger].map(op => ops[op])
  const isSent = sent.length === 0 ? 'false' : `coalesce(op IN (${sent.join(', ')}), false)`
  const { purpose, giveUpAfter = null, upTo = null } = request
  const isUpTo = upTo === null ? 'true' : `coalesce(run <= ${upTo}, true)`
  // A resync also sends rows that were given up or discarded.
  const isResync = purpose?.kind === 'resync' ? isUpTo : 'false'
  const isOfSome = purpose?.kind === 'discard' || purpose?.kind === 'retry'
  const isMeant = isOfSome ? meantSql(purpose, { isUpTo, atMostOnce: request.atMostOnce === true }) : null
  const isDiscarded = purpose?.kind === 'discard' ? isMeant : null
  // A row that a person asks for is tried, however often it has failed.
  const givesUp = giveUpAfter === null || purpose?.kind === 'retry' ? 'false' : `runs >= ${giveUpAfter}`
  // A person who asks for a row has decided about it.
  const { leavesUndecided = 'none' } = request
  const leaves = leavesUndecided !== 'none' && !isOfSome
  const isDecided = leavesUndecided === 'after-asked' ? isUpTo : 'false'
  const isLeftOut = leaves ? `is_retry AND outcome = ${UNKNOWN} AND NOT (${isDecided})` : 'false'
  const token = keyToken('key')
  const foundSql = (part: KeyPart): string => `
    WITH m AS (SELECT * FROM (${modelSql(part)})${clear}),
      s AS (SELECT * FROM (SELECT srid, ${token} AS key, kind AS believed, ${purpose?.kind === 'resync' ? `if(${isUpTo}, ${KIND_FOR[purpose.as]}, kind)` : 'kind'} AS kind, hash, shape, partition, run, seq, muted
        FROM state WHERE ${fitsSql('key')} AND ${part(token)})${clear}),
      joined AS (SELECT coalesce(m.key, s.key) AS key, m.rid, s.srid, coalesce(s.kind, ${ABSENT}) AS kind, coalesce(s.believed, ${ABSENT}) AS believed, s.partition, s.run, s.seq, s.muted, s.shape,
          m.hash AS model_hash, m.key IS NOT NULL AS has_row, s.hash IS DISTINCT FROM ${modelHash} AS differs, ${lacks} AS lacks
        FROM m FULL JOIN s ON m.key = s.key),
      decided AS (SELECT *, ${DECIDED_OP} AS op FROM joined),
      entered AS (SELECT d.*, ${mutedText(from.hash)} AS mute, r.key IS NOT NULL AS has_entry, r.runs, r.status, r.outcome, r.reason, r.entry,
          coalesce(r.run = d.run AND r.seq = d.seq, false) AS is_retry
        FROM decided d LEFT JOIN (SELECT * REPLACE (${token} AS key) FROM retry WHERE ${part(token)}) r ON r.key = d.key AND r.partition = d.partition),
      muting AS (SELECT *, coalesce(muted = mute, false) AND NOT ${isResync} AS was_muted, op IS NOT NULL AND is_retry AND ${isDiscarded ?? givesUp} AND NOT ${isResync} AS mutes FROM entered),
      needs AS (SELECT *, op IS NOT NULL AND NOT was_muted AND NOT mutes AS has_need,
          op IS NULL AND has_row AND lacks AND ${!isOfSome} AS adopts,
          -- Known for nothing but captured values that nobody has ended yet.
          op IS NULL AND kind = ${ABSENT} AND muted IS NULL AS leaves_values FROM muting)
    SELECT CASE WHEN ${isSent} AND has_need THEN op ELSE ${SETTLED} END AS section, key, partition, rid, srid, kind, is_retry, has_entry,
      if(was_muted OR mutes, mute, NULL) AS muted, mutes AND NOT was_muted AS newly_muted, if(adopts, shape, NULL) AS adopted_shape,
      CASE WHEN has_need OR adopts THEN if(has_row, ${PRESENT}, ${ABSENT}) ELSE believed END AS settled_kind,
      CASE WHEN has_need OR adopts THEN if(has_row, 'model', 'none') WHEN believed = ${ABSENT} THEN 'none' ELSE 'state' END AS takes
    FROM needs WHERE (${wantedSql(purpose, isMeant ?? 'true')}) AND NOT (${isLeftOut})`
  await makeFound(connection, from.parts, foundSql)
  const oversize = await dropOversizeRows(connection, {
    sized: sizedRows(model),
    key: model.key,
    extracted: EXTRACTED,
    samples: SAMPLES,
  })
  const { sendsTwins, sections, muted, adopted } = await countWithTwins(connection, {
    ...{ key: model.key, extracted: EXTRACTED, slices: from.slices },
    sent: request.opsWithTrigger,
    atMostOnce: request.atMostOnce === true,
    tellsExists: request.tellsExists === true,
  })
  return {
    ...{ oversize, key: model.key, sized: sizedRows(model), sendsTwins },
    ...{ slices: from.slices, isSmall: from.isSmall },
    ...sections,
    muted,
    adopted: await adoptedColumns(connection, adopted, from),
    undecided: leaves ? await countUndecided(connection, isDecided) : 0,
  }
}

/** Makes the table `found` by SQL for each part of the keys. */
async function makeFound(
  connection: DuckDBConnection,
  parts: number,
  foundSql: (part: KeyPart) => string,
): Promise<void> {
  let verb = 'CREATE OR REPLACE TEMP TABLE found AS'
  for (const part of keyParts(parts)) {
    await connection.run(`${verb} ${foundSql(part)}`)
    verb = 'INSERT INTO found'
  }
}

/** Returns SQL for the model's rows of a part of the keys, without keys that several rows have. */
async function rowsToJoin(connection: DuckDBConnection, request: DiffRequest, from: DiffedWith) {
  const place = placeOf(request.columns)
  const valid = keyColumns(request).map(column => `${place(column)} IS NOT NULL`)
  const key = keyText(request)
  // An invalid row counts as neither present nor gone, whatever the state knows of its key.
  const clear = from.ambiguous ? ' WHERE key NOT IN (SELECT key FROM ambiguous)' : ''
  const incomplete = from.shapes.filter(shape => !from.hash.isComplete(shape))
  const { columns } = request
  const { hash, slices } = from
  const model: ModelRows = {
    extracted: EXTRACTED,
    columns,
    place,
    key,
    valid: [...valid, fitsSql(key)].join(' AND '),
    hash,
    incomplete,
    slices,
  }
  const modelSql = await modelRows(connection, model)
  return { model, incomplete, modelSql, clear }
}

/** SQL for the kind that a row of the state has in a resync (domain/key-state.ts, `resynced`). */
const KIND_FOR = {
  added: `if(kind = ${ABSENT}, kind, ${EXISTENCE_UNCERTAIN})`,
  changed: `if(kind IN (${ABSENT}, ${EXISTENCE_UNCERTAIN}), kind, ${CONTENT_UNCERTAIN})`,
}

/** Returns SQL that is true for keys which get a change. */
function wantedSql(purpose: RunPurpose | undefined, isMeant: string): string {
  switch (purpose?.kind) {
    case 'discard':
      return `has_entry AND (mutes OR was_muted OR op IS NULL) AND ${isMeant}`
    case 'retry':
      return `has_entry AND ${isMeant}`
    default:
      return 'has_need OR has_entry OR adopts OR leaves_values'
  }
}

/** SQL for the time at which a row failed first, which is the last field of the entry's JSON. */
const SINCE = `try_cast(regexp_extract(entry, '"since":([0-9]+)}$', 1) AS BIGINT)`

/** Returns SQL that is true for the failed rows which the run is about. */
function meantSql(
  { key, status, group = null }: MeantRows,
  { isUpTo, atMostOnce }: { readonly isUpTo: string; readonly atMostOnce: boolean },
): string {
  const conditions = [isUpTo]
  if (key !== null) conditions.push(`key = ${keyToken(quoteText(key))}`)
  if (status !== null) {
    const { from, to } = statusesOf(status)
    conditions.push(`coalesce(status BETWEEN ${from} AND ${to}, false)`)
  }
  if (group !== null) conditions.push(`coalesce(${SINCE} <= ${group.lastSince}, false)`)
  if (group !== null && group.reason !== null)
    conditions.push(`coalesce(reason = ${quoteText(group.reason)}, false)`)
  // Nobody has decided about a row that a later run has left unknown.
  if (group !== null && atMostOnce) conditions.push(`(outcome <> ${UNKNOWN} OR run <= ${group.toRun})`)
  return conditions.join(' AND ')
}

/** Returns the columns that settled rows were delivered without. */
async function adoptedColumns(
  connection: DuckDBConnection,
  rows: number,
  { hash, shapes }: { readonly hash: RowHash; readonly shapes: readonly Shape[] },
): Promise<FoundChanges['adopted']> {
  if (rows === 0) return { rows: 0, columns: [] }
  const shaped = await rowsOf(
    connection,
    'SELECT DISTINCT adopted_shape FROM found WHERE adopted_shape IS NOT NULL',
  )
  const ids = new Set(shaped.map(([id]) => Number(id)))
  const lacking = shapes.filter(({ id }) => ids.has(id))
  const columns = hash.columns.map(({ name }) => name)
  const isNew = (name: string): boolean => lacking.some(shape => !shape.columns.includes(name))
  return { rows, columns: columns.filter(isNew) }
}

/** Counts the rows whose last change has an unknown outcome, and that nobody has decided about. */
async function countUndecided(connection: DuckDBConnection, isDecided: string): Promise<number> {
  const result = await rowsOf(
    connection,
    `SELECT count(*) FROM (FROM state WHERE NOT (${isDecided})) s JOIN retry r ON ${keyToken('r.key')} = ${keyToken('s.key')}
      AND r.partition = s.partition AND r.run = s.run AND r.seq = s.seq WHERE r.outcome = ${UNKNOWN}`,
  )
  return Number(result[0]?.[0] ?? 0)
}

/** Returns the first keys, in order, of the rows that a trigger removes. */
export async function removedSamples(
  connection: DuckDBConnection,
  { removed }: FoundChanges,
): Promise<readonly string[]> {
  if (removed.rows === 0) return []
  const result = await rowsOf(
    connection,
    `SELECT ${asBytes('key')} FROM state WHERE srid IN (SELECT srid FROM found WHERE section = ${REMOVED}) ORDER BY key LIMIT ${SAMPLES}`,
  )
  return result.map(([key]) => textOfBytes(key) ?? '')
}

/** SQL for the op that brings the destination to the model. Tests compare it with domain/key-state.ts. */
const DECIDED_OP = `CASE
  WHEN NOT has_row THEN if(kind = ${ABSENT}, NULL, ${REMOVED})
  WHEN kind = ${PRESENT} THEN if(differs, ${CHANGED}, NULL)
  WHEN kind = ${CONTENT_UNCERTAIN} THEN ${CHANGED}
  ELSE ${ADDED} END`

/**
 * Returns SQL for the text that identifies the row and op of a muted key. Runs skip the key until this text
 * differs. The text is made for every row, so its number is hexadecimal: DuckDB takes 90 µs to print a number
 * of 128 bits as a decimal. For a removal the text has no hash: the row to remove stays the same until the
 * key's next change, whereas its hash would change once the model gets new columns.
 */
function mutedText({ columnsDigest }: RowHash): string {
  return `if(op IS NULL, NULL, op || ':${columnsDigest}:' || if(has_row, to_hex(model_hash), ''))`
}

/** Counts the found changes, after the twins of removed keys have changed them. */
async function countWithTwins(connection: DuckDBConnection, twins: FindTwinsOptions) {
  const counted = await countFound(connection)
  if (counted.sections.removed.rows === 0) return { ...counted, sendsTwins: false }
  const sendsTwins = await findTwins(connection, twins)
  return { ...(await countFound(connection)), sendsTwins }
}

/** Counts the found changes by section, and the settled rows that are newly muted or get new columns. */
async function countFound(connection: DuckDBConnection): Promise<{
  readonly sections: Pick<FoundChanges, SectionName>
  readonly muted: number
  readonly adopted: number
}> {
  const counted = await rowsOf(
    connection,
    `SELECT section, count(*), bool_or(kind <> ${ABSENT}), bool_or(is_retry), count(partition) > 0,
      count(*) FILTER (newly_muted), count(adopted_shape), EXISTS (FROM captured) FROM found GROUP BY section`,
  )
  const sections = new Map<number, Section>()
  let muted = 0
  let adopted = 0
  for (const [section, rows, before, retried, known, newlyMuted, withShape, captured] of counted) {
    muted += Number(newlyMuted)
    adopted += Number(withShape)
    sections.set(Number(section), {
      rows: Number(rows),
      before: before === true,
      captured: captured === true,
      retried: retried === true,
      known: known === true,
    })
  }
  const none: Section = { rows: 0, before: false, captured: false, retried: false, known: false }
  const sectionOf = (code: number): Section => sections.get(code) ?? none
  return {
    sections: {
      settled: sectionOf(SETTLED),
      removed: sectionOf(REMOVED),
      changed: sectionOf(CHANGED),
      added: sectionOf(ADDED),
    },
    muted,
    adopted,
  }
}

/** Returns the counts of a diff, before anything is delivered. */
export function countsOf(request: DiffRequest, found: FoundChanges): CountsByOp {
  const counts: { [op in Op]?: OpCounts } = {}
  for (const op of request.opsWithTrigger)
    counts[op] = {
      detected: found[op].rows,
      ...{ delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 },
    }
  return counts
}

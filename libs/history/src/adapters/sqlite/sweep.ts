/** Forgets what is too old or exceeds the largest size, in pieces that delay nothing for long. */
import type { SyncLife } from '../../port.ts'
import { numberOf, textOf, type IndexFile } from './index-file.ts'
import { keyHash } from './store-batch.ts'
import { SLOTS } from './tables.ts'

/** A piece has at most this many attempts or mentions. */
const PIECE = 1_000
/** A piece gives at most this many pages back to the disk. */
const MAX_PAGES = 2_000

/** Forgets one piece. Returns true if there may be more. */
export function sweepPiece(
  file: IndexFile,
  options: { readonly before: number; readonly lives: readonly SyncLife[]; readonly maxBytes: number },
): boolean {
  const { before, lives, maxBytes } = options
  const isTooLarge = bytesUsed(file) > maxBytes
  const swept = file.transaction(() => {
    const ended = endedLife(file, lives)
    if (ended !== null) return sweepLife(file, ended)
    const limit = isTooLarge ? Number.MAX_SAFE_INTEGER : Math.max(0, Math.floor(before)) * SLOTS
    const ids = file.all('SELECT id FROM attempt WHERE id < ? ORDER BY id LIMIT ?', limit, PIECE)
    const attempts = forgetAttempts(
      file,
      ids.map(row => numberOf(row, 'id')),
    )
    if (attempts < PIECE) forgetRuns(file, limit)
    const isOnlyMentions = isTooLarge && attempts === 0
    const mentions = isOnlyMentions ? forgetOldestMentions(file) : sweepMentions(file, before)
    return attempts + mentions >= PIECE || (isTooLarge && attempts + mentions > 0)
  })
  if (swept || isTooLarge) file.use(() => file.all(`PRAGMA incremental_vacuum(${MAX_PAGES})`))
  return swept
}

/** The bytes of the file's pages that are in use. */
export function bytesUsed(file: IndexFile): number {
  return file.use(() => {
    const [pages, free, size] = ['page_count', 'freelist_count', 'page_size'].map(name =>
      numberOf(file.get(`PRAGMA ${name}`), name),
    )
    return ((pages ?? 0) - (free ?? 0)) * (size ?? 0)
  })
}

function endedLife(file: IndexFile, lives: readonly SyncLife[]): number | null {
  const incarnations = new Map(lives.map(({ sync, incarnation }) => [sync, incarnation]))
  const ended = file.all('SELECT id, sync, incarnation FROM life').find(row => {
    const incarnation = incarnations.get(textOf(row, 'sync'))
    return incarnation !== undefined && incarnation !== textOf(row, 'incarnation')
  })
  return ended === undefined ? null : numberOf(ended, 'id')
}

/** Forgets one piece of a life that has ended. */
function sweepLife(file: IndexFile, life: number): boolean {
  const ids = file.all(
    'SELECT id FROM attempt WHERE kind IN (SELECT id FROM kind WHERE life = ?) LIMIT ?',
    life,
    PIECE,
  )
  if (ids.length > 0) {
    forgetAttempts(
      file,
      ids.map(row => numberOf(row, 'id')),
    )
    return true
  }
  const { changes } = file.run(
    `DELETE FROM mention WHERE id IN (SELECT id FROM mention
      WHERE place IN (SELECT id FROM place WHERE life = ?) LIMIT ?)`,
    life,
    PIECE,
  )
  if (changes > 0) return true
  file.run('DELETE FROM figure WHERE run IN (SELECT id FROM run WHERE life = ?)', life)
  for (const table of ['run', 'kind', 'place']) file.run(`DELETE FROM ${table} WHERE life = ?`, life)
  file.run('DELETE FROM life WHERE id = ?', life)
  return true
}

function forgetAttempts(file: IndexFile, ids: readonly number[]): number {
  const errors = new Set<number>()
  for (const id of ids) {
    const row = file.get(
      'SELECT k.life, a.keys, a.error FROM attempt a JOIN kind k ON k.id = a.kind WHERE a.id = ?',
      id,
    )
    if (row === undefined) continue
    const life = numberOf(row, 'life')
    for (const key of JSON.parse(textOf(row, 'keys')) as string[])
      file.run('DELETE FROM keyed WHERE hash = ? AND id = ?', keyHash(life, key), id)
    if (row['error'] !== null) errors.add(numberOf(row, 'error'))
    file.run('DELETE FROM attempt WHERE id = ?', id)
  }
  for (const error of errors) {
    if (file.get('SELECT 1 AS used FROM attempt WHERE error = ? LIMIT 1', error) !== undefined) continue
    file.run('DELETE FROM error WHERE id = ?', error)
    file.run('DELETE FROM error_text WHERE rowid = ?', error)
  }
  return ids.length
}

/** Forgets runs that have no attempts any more, with their counts. */
function forgetRuns(file: IndexFile, limit: number): void {
  const runs = file.all(
    `SELECT id FROM run r WHERE last < ? AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.run = r.id) LIMIT ?`,
    limit,
    PIECE,
  )
  for (const row of runs) {
    file.run('DELETE FROM figure WHERE run = ?', numberOf(row, 'id'))
    file.run('DELETE FROM run WHERE id = ?', numberOf(row, 'id'))
  }
}

/**
 * Looks at each mention once when it has become too old. It forgets the mention if there is a later one of
 * its key in the same place. Other mentions stay, since their topic holds the record for as long as the key
 * lives.
 */
function sweepMentions(file: IndexFile, before: number): number {
  const swept = numberOf(file.get("SELECT value FROM meta WHERE name = 'swept'"), 'value')
  const rows = file.all(
    'SELECT id, place, hash, at FROM mention WHERE id > ? ORDER BY id LIMIT ?',
    swept,
    PIECE,
  )
  let last = swept
  let count = 0
  for (const row of rows) {
    if (numberOf(row, 'at') >= before) break
    last = numberOf(row, 'id')
    count += 1
    file.run(
      `DELETE FROM mention WHERE id = ?1
        AND EXISTS (SELECT 1 FROM mention WHERE hash = ?2 AND id > ?1 AND place = ?3)`,
      ...[last, numberOf(row, 'hash'), numberOf(row, 'place')],
    )
  }
  if (last !== swept) file.run("UPDATE meta SET value = ? WHERE name = 'swept'", last)
  return count
}

function forgetOldestMentions(file: IndexFile): number {
  return file.run('DELETE FROM mention WHERE id IN (SELECT id FROM mention ORDER BY id LIMIT ?)', PIECE)
    .changes
}

/**
 * Makes sure that no file changes while a query reads it. If another program is writing the file at that
 * time, its last rows are missing, and would count as removed.
 */
import { type BigIntStats, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Extract } from '../../../port.ts'
import { modelCalled } from '../../query/model-columns.ts'

/** A replaced file is read again once it has not changed for this long. */
const STILL_MS = 1_000
/** The wait for a replaced file to stop changing ends after this time. */
const MAX_WAIT_MS = 3_000
const CHECK_MS = 50
/** No file system has a clock with larger steps. */
const MIN_SETTLED_MS = 2_500

/** The states of files by path. */
export type FileStates = ReadonlyMap<string, FileState>

interface FileState {
  /** Stays the same if the file is renamed. */
  readonly identity: string
  /** Differs once the file has other content. */
  readonly content: string
}

/** Returns the states of the files that match the paths or patterns, without files that cannot be read. */
export async function fileStates(
  connection: DuckDBConnection,
  paths: readonly string[],
): Promise<FileStates> {
  const states = new Map<string, FileState>()
  for (const path of new Set(paths))
    for (const file of await filesMatching(connection, path)) {
      const state = stateOf(file)
      if (state !== null) states.set(file, state)
    }
  return states
}

/** A file changed while a query read it. */
export class FileChanged extends SluiceError {
  readonly #replaced: readonly string[]

  /** `replaced` has the changed files if each was replaced by another file. Otherwise it is empty. */
  constructor(file: string, model: ModelSpec, replaced: readonly string[]) {
    const message =
      `${file} changed while ${modelCalled(model.name)} was read, so that rows may be missing. Nothing of it was taken. ` +
      'Let the program that writes the file write it under another name, and rename it once it is whole.'
    super('query', message, { retryable: true, details: [{ field: 'sql', message }] })
    this.#replaced = replaced
  }

  /**
   * Waits until the replaced files no longer change. Resolves with false if that does not happen soon, or if
   * a file was written in place, since only its writer knows when it is whole.
   */
  async becomesStill(): Promise<boolean> {
    const look = (): string => this.#replaced.map(file => stateOf(file)?.content ?? 'gone').join('\n')
    let [seen, since] = [look(), performance.now()]
    const until = since + MAX_WAIT_MS
    while (this.#replaced.length > 0 && performance.now() < until) {
      if (performance.now() - since >= STILL_MS) return true
      await sleep(CHECK_MS)
      const now = look()
      if (now !== seen) [seen, since] = [now, performance.now()]
    }
    return false
  }
}

/**
 * Throws `FileChanged`, which is retryable, if a file has changed or is gone. A new file does no harm, since
 * its rows come with the next run.
 */
export function assertSteady(before: FileStates, model: ModelSpec): void {
  const changed = [...before].flatMap(([file, was]) => {
    const now = stateOf(file)
    return now?.content === was.content
      ? []
      : [{ file, isReplaced: now !== null && now.identity !== was.identity }]
  })
  const [first] = changed
  if (first === undefined) return
  const areReplaced = changed.every(({ isReplaced }) => isReplaced)
  throw new FileChanged(first.file, model, areReplaced ? changed.map(({ file }) => file) : [])
}

/** Returns a text that differs for each state of a file or folder; null if it cannot be read. */
export function stateAt(path: string): string | null {
  try {
    const found: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found === undefined
      ? null
      : [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ')
  } catch {
    return null
  }
}

/** Returns the `isUnchanged` of an extract, for the states that the query's process reported. */
export function unchangedWhile(
  seen: readonly (readonly [path: string, state: string])[] | null,
): Pick<Extract, 'isUnchanged'> {
  if (seen === null) return {}
  return { isUnchanged: () => seen.every(([path, state]) => stateAt(path) === state) }
}

/** True if every later change gives the file another time stamp. */
export function isSettled(path: string, now: number): boolean {
  const { mtimeMs = now, ctimeMs = now } = statSync(path, { throwIfNoEntry: false }) ?? {}
  return now - Math.max(mtimeMs, ctimeMs) > MIN_SETTLED_MS
}

/** Returns the files that match a path or pattern. */
export async function filesMatching(
  connection: DuckDBConnection,
  pattern: string,
): Promise<readonly string[]> {
  try {
    const reader = await connection.runAndReadAll('SELECT file FROM glob($1::VARCHAR)', [pattern])
    return reader.getRows().map(([file]) => String(file))
  } catch {
    // DuckDB refuses to open such a path later, too, and says why.
    return []
  }
}

function stateOf(file: string): FileState | null {
  try {
    const found: BigIntStats | undefined = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (found?.isFile() !== true) return null
    // A new file may get the inode of one that is gone. The time of birth then differs.
    const identity = `${found.dev} ${found.ino} ${found.birthtimeNs}`
    return { identity, content: `${identity} ${found.size} ${found.mtimeNs}` }
  } catch {
    return null
  }
}

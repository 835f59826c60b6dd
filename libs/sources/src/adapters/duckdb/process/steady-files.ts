/**
 * Makes sure that the files of a query stay as they are while it reads them. If another program was writing a
 * file at that time, its last rows would be missing, and count as removed.
 */
import { type BigIntStats, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Extract } from '../../../port.ts'
import { modelCalled } from '../../query/model-columns.ts'

/** A file that was replaced is read anew once it has been as it is for so long. */
const STILL_MS = 1_000
/** After so long nobody waits for that any more. */
const WAITED_MS = 3_000
const LOOKED_EVERY_MS = 50
/** More than the step of any clock of a file system. */
const SETTLED_MS = 2_500

/** By path: what tells one content of a file from another. */
export type FileStates = ReadonlyMap<string, FileState>

interface FileState {
  /** Of the file itself, whatever it is called. */
  readonly identity: string
  readonly content: string
}

/**
 * The files that these paths stand for, which may be patterns. A file that cannot be looked at is left out.
 */
export async function fileStates(
  connection: DuckDBConnection,
  paths: readonly string[],
): Promise<FileStates> {
  const states = new Map<string, FileState>()
  for (const path of new Set(paths))
    for (const file of await filesOf(connection, path)) {
      const state = stateOf(file)
      if (state !== null) states.set(file, state)
    }
  return states
}

/** A file is another one than when its reading began. */
export class FileChanged extends SluiceError {
  readonly #replaced: readonly string[]

  /** `replaced`: all that changed, if each of them is another file under the same name. */
  constructor(file: string, model: ModelSpec, replaced: readonly string[]) {
    const message =
      `${file} changed while ${modelCalled(model.name)} was read, so that rows may be missing. Nothing of it was taken. ` +
      'Let the program that writes the file write it under another name, and rename it once it is whole.'
    super('query', message, { retryable: true, details: [{ field: 'sql', message }] })
    this.#replaced = replaced
  }

  /**
   * Waits until what was replaced is still. False if that does not happen soon, or if a file was written in
   * its place, where only its writer knows when it is whole.
   */
  async isStill(): Promise<boolean> {
    const look = (): string => this.#replaced.map(file => stateOf(file)?.content ?? 'gone').join('\n')
    let [seen, since] = [look(), performance.now()]
    const until = since + WAITED_MS
    while (this.#replaced.length > 0 && performance.now() < until) {
      if (performance.now() - since >= STILL_MS) return true
      await sleep(LOOKED_EVERY_MS)
      const now = look()
      if (now !== seen) [seen, since] = [now, performance.now()]
    }
    return false
  }
}

/**
 * Throws `FileChanged`, which is retryable, if one of the files has changed or is gone. A file that is new
 * does no harm: its rows come with the next run.
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

/** What tells one state of a file or a folder from another; null if it cannot be looked at. */
export function seenAt(path: string): string | null {
  try {
    const found: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found === undefined
      ? null
      : [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ')
  } catch {
    return null
  }
}

/** What an extract says of the files that a query has read; `seen` as the query's process tells it. */
export function stillSo(
  seen: readonly (readonly [path: string, state: string])[] | null,
): Pick<Extract, 'isStillSo'> {
  if (seen === null) return {}
  return { isStillSo: () => seen.every(([path, state]) => seenAt(path) === state) }
}

/** True if a change of the file from now on is sure to leave it with another time. */
export function isSettled(path: string, now: number): boolean {
  const { mtimeMs = now, ctimeMs = now } = statSync(path, { throwIfNoEntry: false }) ?? {}
  return now - Math.max(mtimeMs, ctimeMs) > SETTLED_MS
}

async function filesOf(connection: DuckDBConnection, path: string): Promise<readonly string[]> {
  try {
    const reader = await connection.runAndReadAll('SELECT file FROM glob($1::VARCHAR)', [path])
    return reader.getRows().map(([file]) => String(file))
  } catch {
    // DuckDB will not open it either, and says why.
    return []
  }
}

function stateOf(file: string): FileState | null {
  try {
    const found: BigIntStats | undefined = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (found?.isFile() !== true) return null
    // A new file may get the number of one that is gone: the time at which it began tells them apart.
    const identity = `${found.dev} ${found.ino} ${found.birthtimeNs}`
    return { identity, content: `${identity} ${found.size} ${found.mtimeNs}` }
  } catch {
    return null
  }
}

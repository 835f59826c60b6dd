/**
 * Makes sure that the files of a query stay as they are while it reads them. If another program was writing a
 * file at that time, its last rows would be missing, and count as removed.
 */
import { type BigIntStats, statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { modelCalled } from '../../query/model-called.ts'

/** By path: what tells one content of a file from another. */
export type FileStates = ReadonlyMap<string, string>

/**
 * The files that these paths stand for, which may be patterns. A file that cannot be looked at is left out.
 */
export async function fileStates(
  connection: DuckDBConnection,
  paths: readonly string[],
): Promise<FileStates> {
  const states = new Map<string, string>()
  for (const path of new Set(paths))
    for (const file of await filesOf(connection, path)) {
      const state = stateOf(file)
      if (state !== null) states.set(file, state)
    }
  return states
}

/**
 * Throws `query`, which is retryable, if one of the files has changed or is gone. A file that is new does no
 * harm: its rows come with the next run.
 */
export function assertSteady(before: FileStates, model: ModelSpec): void {
  for (const [file, state] of before) {
    if (stateOf(file) === state) continue
    const message =
      `${file} changed while ${modelCalled(model.name)} was read, so that rows may be missing. Nothing of it was taken. ` +
      'Let the program that writes the file write it under another name, and rename it once it is whole.'
    throw new SluiceError('query', message, { retryable: true, details: [{ field: 'sql', message }] })
  }
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

function stateOf(file: string): string | null {
  try {
    const found: BigIntStats | undefined = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (found?.isFile() !== true) return null
    return [found.dev, found.ino, found.size, found.mtimeNs].join(' ')
  } catch {
    return null
  }
}

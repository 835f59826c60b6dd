/**
 * Reads the model while the delivered state is opened and brought up to date: most runs have little to bring
 * up to date, and a query takes as long. What a process may hold in memory is one budget for both
 * (libs/domain/src/memory-budget.ts), so whoever brings a row into the state waits for the reading first.
 */
import { rm } from 'node:fs/promises'
import type { Definition } from '@sluice/contracts/resources'
import type { Extract, Source } from '@sluice/sources/port'

/** Disposing it ends the reading, and removes the file. */
export interface ModelReading extends AsyncDisposable {
  /** The path of the extract, where nothing is that counts before `rows` has resolved. */
  readonly file: string
  /** The complete result. Rejects as `Source.extract` does. */
  rows(): Promise<Extract>
  /** Resolves once the model is read, or cannot be read. */
  over(): Promise<void>
}

/** Begins to read. What an earlier attempt left in the file is removed. */
export function readModel(of: {
  readonly source: Source
  readonly definition: Definition
  readonly file: string
  readonly signal: AbortSignal
}): ModelReading {
  const { source, definition, file } = of
  const ending = new AbortController()
  const signal = AbortSignal.any([of.signal, ending.signal])
  const read = async (): Promise<Extract> => {
    await removeExtract(file)
    return await source.extract(definition.model, { file, signal })
  }
  const rows = read()
  const over = rows.then(
    () => undefined,
    // It counts for whoever wants the rows.
    () => undefined,
  )
  return {
    file,
    rows: () => rows,
    over: () => over,
    async [Symbol.asyncDispose]() {
      ending.abort(new DOMException('the rows are of no use any more', 'AbortError'))
      await over
      await removeExtract(file)
    },
  }
}

async function removeExtract(file: string): Promise<void> {
  await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
}

/**
 * Reads the model while the delivered state is opened and brought up to date. Most runs have little to bring
 * up to date, which takes about as long as the query. Both share the memory budget of the process
 * (libs/domain/src/memory-budget.ts). So the state takes in no row before the reading is over.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Definition } from '@sluice/contracts/resources'
import type { Extract, Source } from '@sluice/sources/port'

/** Disposing it ends the reading, and removes the file. */
export interface ModelReading extends AsyncDisposable {
  /** The path of the extract. Its content counts only once `rows` has resolved. */
  readonly file: string
  /** The complete result. Rejects as `Source.extract` does. */
  rows(): Promise<Extract>
  /** Resolves once the model is read, or cannot be read. */
  over(): Promise<void>
}

/** Begins to read. A file of an earlier attempt is removed first. */
export function readModel(options: {
  readonly source: Source
  readonly definition: Definition
  readonly file: string
  readonly signal: AbortSignal
}): ModelReading {
  const { source, definition, file } = options
  const ending = new AbortController()
  const signal = AbortSignal.any([options.signal, ending.signal])
  const read = async (): Promise<Extract> => {
    await removeExtract(file)
    return await source.extract(definition.model, { file, signal })
  }
  const rows = read()
  const over = rows.then(
    () => undefined,
    // `rows` rejects with the failure.
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
  for (const path of [file, `${file}.wal`]) if (existsSync(path)) await rm(path, { force: true })
}

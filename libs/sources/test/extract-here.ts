/**
 * Runs the query of a source on files in this process, as its own process would. It is for tests of what
 * comes after an extract: each process of its own would cost them a third of a second.
 */
import { randomUUID } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { acceptRows, openToAccept } from '../src/adapters/duckdb/accept-rows.ts'
import type { Answer, Task } from '../src/adapters/duckdb/messages.ts'
import { answerTo } from '../src/adapters/duckdb/process/run-query.ts'
import { unchangedWhile } from '../src/adapters/duckdb/process/steady-files.ts'
import type { Extract, Source } from '../src/port.ts'

/** Rejects with the error that the source would give. */
export async function extractHere(
  model: ModelSpec,
  { folder, file }: { readonly folder: string; readonly file: string },
): Promise<Extract> {
  const answer = await answerHere(model, { folder, file, tempDirectory: `${file}.tmp` })
  if (answer.kind !== 'rows') throw new Error('a query that was asked for rows gave columns')
  await using session = await openToAccept(file)
  const rows = await acceptRows(file, { model, rowCount: answer.rowCount, session })
  return { file, ...rows, ...unchangedWhile(answer.seen) }
}

async function answerHere(
  model: ModelSpec,
  of: { readonly folder: string } & Pick<Task, 'file' | 'tempDirectory'>,
): Promise<Exclude<Answer, { kind: 'failed' }>> {
  const { folder, ...files } = of
  const answer = await answerTo({
    model,
    source: {
      name: model.source,
      type: 'duckdb',
      path: folder,
      realPath: realpathSync(folder),
      isDatabase: false,
    },
    ...files,
    memoryBytes: 512_000_000,
    forManyRows: false,
    threads: 2,
    spillBytes: 1_000_000_000,
  })
  if (answer.kind !== 'failed') return answer
  throw new SluiceError(answer.code, answer.message, {
    details: answer.details,
    retryable: answer.retryable,
  })
}

/** A source over a folder, for queries that are small and are not aborted while they read. */
export function sourceHere(folder: string): Source {
  return {
    async describe(model, { signal }) {
      signal.throwIfAborted()
      const answer = await answerHere(model, {
        folder,
        file: null,
        tempDirectory: join(tmpdir(), randomUUID()),
      })
      if (answer.kind !== 'columns') throw new Error('a query that was asked for columns gave rows')
      return answer.columns
    },
    async extract(model, { file, signal }) {
      signal.throwIfAborted()
      return extractHere(model, { folder, file })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

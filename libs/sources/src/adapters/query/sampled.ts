/** Reads some rows of a query, so that the database need not read or sort all of them. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Extract } from '../../port.ts'
import { sqlOf } from './read-only-query.ts'
import type { SqlDialect } from './sql-dialect.ts'

/**
 * Extracts the model, or so many of its rows if `sample` is there. Errors have the places in the query as the
 * user wrote it: if the query itself is wrong, `describe` throws that.
 */
export async function extractSampled(
  model: ModelSpec,
  sample: number | undefined,
  by: {
    readonly dialect: SqlDialect
    readonly extract: (model: ModelSpec) => Promise<Extract>
    readonly describe: (model: ModelSpec) => Promise<unknown>
  },
): Promise<Extract> {
  if (sample === undefined) return await by.extract(model)
  const { table: _, ...others } = model
  // A line break ends a comment at the end of the query.
  const sql = `SELECT * FROM (\n${sqlOf(model, by.dialect)}\n) AS sampled LIMIT ${sample}`
  try {
    return await by.extract({ ...others, sql })
  } catch (error) {
    if (isSluiceError(error, 'query')) await by.describe(model)
    throw error
  }
}

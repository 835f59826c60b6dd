/** The rules for a model's columns, in all databases. */
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'

/**
 * Throws `query` for two columns of one name, for a column without a name, and for a query without columns.
 * As in DuckDB, names that differ only in case are equal.
 */
export function assertColumns(model: ModelSpec, columns: readonly { readonly name: string }[]): void {
  if (columns.length === 0)
    throw new SluiceError('query', `The query of ${modelCalled(model.name)} gives no columns.`, {
      details: [{ field: 'sql', message: 'it gives no columns' }],
    })
  const seen = new Set<string>()
  for (const [index, { name }] of columns.entries()) {
    if (name === '')
      throw new SluiceError(
        'query',
        `The query of ${modelCalled(model.name)} gives a column without a name, number ${index + 1}; give it one with AS.`,
        { details: [{ field: 'sql', message: `column ${index + 1} has no name` }] },
      )
    if (seen.has(name.toLowerCase()))
      throw new SluiceError(
        'query',
        `The query of ${modelCalled(model.name)} gives two columns named "${name}"; give one of them another name with AS.`,
        { details: [{ field: 'sql', message: `two columns are named "${name}"` }] },
      )
    seen.add(name.toLowerCase())
  }
}

/** Names a model inside a sentence. A model that is being written has no name yet. */
export function modelCalled(name: string): string {
  return name === '' ? 'the model' : `model ${name}`
}

/** Names a model at the beginning of a sentence. */
export function modelFirst(name: string): string {
  return name === '' ? 'The model' : `Model ${name}`
}

/** The rules for the columns of a model, for all databases. */
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'

/**
 * Refuses two columns of one name, a column without a name, and a query without columns. Two names are also
 * equal if only their case differs, as in DuckDB.
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

/** What messages call a model. While somebody writes a model, it has no name yet. */
export function modelCalled(name: string): string {
  return name === '' ? 'the model' : `model ${name}`
}

/** The same at the beginning of a sentence. */
export function modelFirst(name: string): string {
  return name === '' ? 'The model' : `Model ${name}`
}

/** Checks the key of a model against the columns that its query gives. */
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import { primaryKeyOf } from '@sluice/domain/definition'
import { nearestHint } from '@sluice/domain/nearest-name'

/** Throws `config`, with the nearest name, for a key column that the query does not give. */
export function assertKeyColumns(model: ModelSpec, columns: readonly Column[]): void {
  const names = columns.map(column => column.name)
  for (const name of primaryKeyOf(model)) {
    if (names.includes(name)) continue
    const found = `its columns are ${names.join(', ')}`
    const wrong = `primaryKey names the column "${name}", which the query does not give: ${found}${nearestHint(name, names)}`
    throw new SluiceError('config', `model ${model.name}: ${wrong}`, {
      details: [{ field: 'primaryKey', message: wrong }],
    })
  }
}

/** Compares the model with the delivered state. */
import type { Definition, ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { DeliveredState, Diff, RunPurpose } from '@sluice/delivered-state/port'
import { primaryKeyOf, triggeredOps } from '@sluice/domain/definition'
import { SluiceError } from '@sluice/contracts/errors'
import { nearestHint } from '@sluice/domain/nearest-name'
import type { ModelReading } from './read-model.ts'
import { templateColumns } from './template-columns.ts'

export interface Detected {
  readonly diff: Diff
  readonly columns: readonly Column[]
  /**
   * Makes a diff with every row of the model as added, whatever the state knows of it. `diff` must not be
   * used after this call.
   */
  everyRow(): Promise<Diff>
}

/**
 * Finds the changes of the model. The state must be up to date. The changes can be read until the reading is
 * disposed. Rejects as the reading and the state do, and with `config` if the model lacks a column.
 */
export async function detectChanges(options: {
  readonly state: DeliveredState
  readonly reading: ModelReading
  readonly definition: Definition
  readonly baseline: boolean
  readonly purpose?: RunPurpose | undefined
  /** True for a run that somebody asked for to try again what failed. */
  readonly isRetry?: boolean
  /** `purpose` is about rows whose last change is of a run up to this one. Null: of any run. */
  readonly upTo?: number | null
  readonly signal: AbortSignal
}): Promise<Detected> {
  const { state, reading, definition, baseline, purpose, isRetry = false, upTo = null, signal } = options
  const used = templateColumns(definition)
  const { file: extractFile, columns, primaryKey = primaryKeyOf(definition.model) } = await reading.rows()
  assertKeyColumns(definition.model, columns)
  // A replay renders no templates.
  if (purpose?.kind !== 'replay') used.assertKnown(columns)
  const model = { extractFile, columns, primaryKey, compare: used.compared(columns), signal }
  const atMostOnce = definition.sync.delivery === 'at-most-once'
  const diff = await state.diff({
    ...model,
    opsWithTrigger: triggeredOps(definition.sync),
    baseline,
    giveUpAfter: definition.sync.errors?.giveUpAfter ?? null,
    leavesUndecided: !atMostOnce ? 'none' : isRetry ? 'after-asked' : 'all',
    upTo,
    atMostOnce,
    tellsExists: tellsExists(definition.sync),
    ...(purpose === undefined ? {} : { purpose }),
  })
  return {
    diff,
    columns: diff.columns,
    everyRow: () =>
      state.diff({
        ...model,
        opsWithTrigger: new Set(['added'] as const),
        baseline: false,
        purpose: { kind: 'resync', as: 'added' },
      }),
  }
}

export function tellsExists({ errors }: Definition['sync']): boolean {
  return [...(errors?.answers ?? []), ...(errors?.rowResults ?? [])].some(({ as }) => as === 'exists')
}

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

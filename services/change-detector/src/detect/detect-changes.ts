/** Reads the model and finds what changed against the delivered state. */
import { rm } from 'node:fs/promises'
import type { Definition } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { DeliveredState, Diff, RunPurpose } from '@sluice/delivered-state/port'
import { primaryKeyOf } from '@sluice/domain/definition'
import { triggeredOps } from '@sluice/domain/trigger'
import type { Source } from '@sluice/sources/port'
import { assertKeyColumns } from './key-columns.ts'
import { templateColumns } from './template-columns.ts'

export interface Detected extends AsyncDisposable {
  readonly diff: Diff
  readonly columns: readonly Column[]
  /** Every row of the model as added, whatever the state knows of it. It ends `diff`. */
  everyRow(): Promise<Diff>
}

/** The state must be up to date. The extract file is removed when the result is disposed. */
export async function detectChanges(options: {
  readonly state: DeliveredState
  readonly source: Source
  readonly definition: Definition
  readonly extractFile: string
  readonly baseline: boolean
  readonly purpose?: RunPurpose | undefined
  /** True for a run that somebody asked for to try again what failed. */
  readonly isRetry?: boolean
  readonly signal: AbortSignal
}): Promise<Detected> {
  const { state, source, definition, extractFile, baseline, purpose, isRetry = false, signal } = options
  const dispose = async (): Promise<void> => {
    await rm(extractFile, { force: true })
    await rm(`${extractFile}.wal`, { force: true })
  }
  const used = templateColumns(definition)
  await dispose()
  try {
    const { columns } = await source.extract(definition.model, { file: extractFile, signal })
    const primaryKey = primaryKeyOf(definition.model)
    assertKeyColumns(definition.model, columns)
    // What a replay sends is rendered already.
    if (purpose?.kind !== 'replay') used.assertKnown(columns)
    const model = { extractFile, columns, primaryKey, compare: used.compared(columns), signal }
    const diff = await state.diff({
      ...model,
      opsWithTrigger: triggeredOps(definition.sync),
      baseline,
      giveUpAfter: definition.sync.errors?.giveUpAfter ?? null,
      leavesUndecided: definition.sync.delivery === 'at-most-once' && !isRetry,
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
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

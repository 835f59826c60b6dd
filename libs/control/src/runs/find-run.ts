/** Finds the run that a command names. */
import { isSluiceError, SluiceError, WrongState } from '@sluice/contracts/errors'
import type { RunEvent, RunStatus } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { changeOf } from '@sluice/domain/held/delivered-to'
import { isEnded } from '@sluice/domain/run-status'
import { SHARED_PARTITIONS } from '@sluice/topics/topics'
import type { Pipeline } from '../pipeline.ts'
import { unknownRun } from '../unknown-names.ts'

/** Resolves once the view of the runs holds all that was in the topic when this was called. */
export async function caughtUpWithRuns({ runs }: Pick<Pipeline, 'runs'>, signal: AbortSignal): Promise<void> {
  for (let partition = 0; partition < SHARED_PARTITIONS; partition += 1)
    await runs.caughtUp(partition, { signal })
}

/** The run with this id, in upper or lower case. Throws `not-found`. */
export async function findRun(pipeline: Pipeline, id: string, signal: AbortSignal): Promise<RunEvent> {
  await caughtUpWithRuns(pipeline, signal)
  for (const { events } of pipeline.runs.all()) {
    const event = events.get(id.toUpperCase())
    if (event !== undefined) return event
  }
  throw unknownRun(id)
}

/**
 * Throws `usage` for a run that is in none of these states. The message names its state, and says that there
 * is nothing to do.
 */
export function assertStatus(run: RunEvent, wanted: readonly RunStatus[], todo: string): void {
  const { runId, sync, status } = run
  if (wanted.includes(status)) return
  const found = isEnded(status) ? `has ended already (${status})` : `is ${status}`
  throw new WrongState(`Run ${runId} of \`${sync}\` ${found}: there is nothing to ${todo}.`)
}

/** Finds a held run. Throws `usage` if it is not held, or if the approval does not fit the reason. */
export async function findHeldRun(
  pipeline: Pipeline,
  { id, destination }: { readonly id: string; readonly destination: 'same' | 'new' | undefined },
  signal: AbortSignal,
): Promise<RunEvent> {
  const run = await findRun(pipeline, id, signal)
  assertStatus(run, ['held'], 'approve')
  assertAnswered(run, destination)
  return run
}

function assertAnswered({ runId, held }: RunEvent, destination: 'same' | 'new' | undefined): void {
  if (held === null) throw new SluiceError('internal', `run ${runId} does not say why it is held`)
  const changed = held.destination ?? null
  if ((changed === null) === (destination === undefined)) return
  const approve = `\`sluice approve ${runId}`
  throw new WrongState(
    changed === null
      ? `Run ${runId} waits for approval of its removals, and its destination has not changed: ${approve}\` approves them.`
      : `Run ${runId} is held since its destination changed ${changeOf(changed)}. ` +
          `${approve} --same-destination\` keeps the delivered state: choose it if the same API only has another address. ` +
          `${approve} --new-destination\` forgets that, and sends every row.`,
  )
}

/**
 * The definition with this hash, or the reason why it cannot be read. For example, the definition may be
 * older than the signing key, or a stranger may have written the event that names it. Other runs are still
 * shown.
 */
export async function findDefinition(
  { definitions }: Pick<Pipeline, 'definitions'>,
  hash: string | null,
  signal: AbortSignal,
): Promise<{ readonly definition: Definition | null; readonly why: string | null }> {
  if (hash === null) return { definition: null, why: null }
  try {
    return { definition: await definitions.get(hash, { signal }), why: null }
  } catch (error) {
    if (!isSluiceError(error, 'not-found') && !isSluiceError(error, 'corrupt')) throw error
    return { definition: null, why: `what the run was asked to do is not known: ${error.message}` }
  }
}

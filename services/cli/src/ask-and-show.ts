/** The part that commands about a run share: ask, show the progress of the run, and print its result. */
import { setMaxListeners } from 'node:events'
import type { FailedPage, RunView } from '@sluice/contracts/api'
import { isSluiceError } from '@sluice/contracts/errors'
import type { RunStatus } from '@sluice/contracts/records'
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { Control, FollowedRun, Following } from '@sluice/control/port'
import type { CommandContext } from './command.ts'
import type { FirstRun } from './compose.ts'
import { EXIT, exitCodeOfRun, worstExitCode, type ExitCode } from './exit-codes.ts'
import { GROUPED_ROWS, outputOptions } from './history-options.ts'
import { openControl } from './open-control.ts'
import { runProgress, type RunProgress } from './output/run-progress.ts'
import { runSummary, undeliveredRows } from './output/run-summary.ts'

/**
 * Asks, shows progress, prints the summary or the run as JSON, and returns the run's exit code. An interrupt
 * cancels the run. If the run ends with the status `wants`, the command succeeds.
 */
export async function askAndShow(
  context: CommandContext,
  ask: (control: Control, following: Following) => Promise<FollowedRun>,
  { wants, firstRun }: { readonly wants?: RunStatus; readonly firstRun?: FirstRun | undefined } = {},
): Promise<ExitCode> {
  await using control = await openControl(context, { firstRun })
  const { exitCode, view } = await followAndPrint(context, control, {
    ask: following => ask(control, following),
    wants,
  })
  if (context.json) context.stdout.write(`${JSON.stringify(view)}\n`)
  return exitCode
}

/**
 * Asks for a run of each sync, one after the other, and prints a list with `--json`. Returns the exit code of
 * the run that went worst. An interrupt cancels the run at work, and no other begins.
 */
export async function askForEach(
  context: CommandContext,
  control: Control,
  requests: readonly InputOf<'run'>[],
): Promise<ExitCode> {
  const views: RunView[] = []
  const exitCodes: ExitCode[] = []
  for (const request of requests) {
    if (context.signal.aborted) break
    const { exitCode, view } = await followAndPrint(context, control, {
      ask: following => control.ask('run', request, following),
    })
    exitCodes.push(exitCode)
    views.push(view)
  }
  if (context.json) context.stdout.write(`${JSON.stringify(views)}\n`)
  return worstExitCode(exitCodes)
}

/**
 * Asks for a run of each sync at once, and waits for all of them. Prints each summary as its run ends, or a
 * list with `--json`, in the order in which the runs were asked for. An interrupt cancels all runs. If some
 * cannot be asked for, it throws the first of these errors once the others have ended.
 */
export async function askForAll(
  context: CommandContext,
  control: Control,
  requests: readonly InputOf<'run'>[],
): Promise<ExitCode> {
  // Each run listens to the interrupt, and there may be many runs.
  setMaxListeners(0, context.signal)
  const all = await Promise.allSettled(
    requests.map(request =>
      followAndPrint(context, control, {
        ask: following => control.ask('run', request, following),
        isAmongOthers: true,
      }),
    ),
  )
  const ended = all.map(each => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
  if (context.json) context.stdout.write(`${JSON.stringify(ended.map(({ view }) => view))}\n`)
  return worstExitCode(ended.map(({ exitCode }) => exitCode))
}

const NO_PROGRESS: RunProgress = {
  update: () => undefined,
  ending: () => undefined,
  end: () => undefined,
}

interface FinishedRun {
  readonly exitCode: ExitCode
  readonly view: RunView
}

/** Shows progress unless other runs are at work, too. Prints the summary unless JSON is wanted. */
async function followAndPrint(
  context: CommandContext,
  control: Control,
  {
    ask,
    wants,
    isAmongOthers = false,
  }: {
    readonly ask: (following: Following) => Promise<FollowedRun>
    readonly wants?: RunStatus | undefined
    readonly isAmongOthers?: boolean
  },
): Promise<FinishedRun> {
  const { json, stdout, stderr, errorColor, signal: cancel } = context
  const progress = isAmongOthers ? NO_PROGRESS : runProgress(stderr, { color: errorColor, now: Date.now })
  const onCancel = (): void => progress.ending()
  cancel.addEventListener('abort', onCancel, { once: true })
  let run: FollowedRun
  try {
    run = await ask({ onProgress: view => progress.update(view), cancel })
  } finally {
    cancel.removeEventListener('abort', onCancel)
    progress.end()
  }
  const waiting = await waitingRows(run.view, control, cancel)
  const errors = waiting?.groups ?? []
  const view = errors.length === 0 ? run.view : { ...run.view, errors }
  if (!json)
    stdout.write(runSummary(view, { ...outputOptions(context), now: Date.now(), waiting, justEnded: true }))
  if (cancel.aborted) return { exitCode: EXIT.interrupted, view }
  return { exitCode: view.status === wants ? EXIT.success : exitCodeOf(view), view }
}

/** The rows of a run that wait for a retry; null if they cannot be read, or nobody waits to see them. */
async function waitingRows(view: RunView, control: Control, signal: AbortSignal): Promise<FailedPage | null> {
  if (signal.aborted || view.endedAt === null || undeliveredRows(view) === 0) return null
  const query = { name: view.sync, run: view.id, limit: GROUPED_ROWS }
  try {
    return await control.call('listFailedRows', query, { signal })
  } catch (error) {
    // The run is over, and its result counts without the reasons of single rows.
    if (isSluiceError(error) || signal.aborted) return null
    throw error
  }
}

function exitCodeOf({ status, errorCode }: RunView): ExitCode {
  return exitCodeOfRun(status, errorCode ?? null)
}

/** The part that commands about a run share: ask, show the progress of the run, and print its result. */
import type { RunView } from '@sluice/contracts/api'
import type { RunStatus } from '@sluice/contracts/records'
import type { Control, FollowedRun, Following, RunRequest } from '@sluice/control/port'
import type { CommandContext } from './command.ts'
import { EXIT, exitCodeOfRun, type ExitCode } from './exit-codes.ts'
import { outputOptions } from './history-options.ts'
import { openControl } from './open-control.ts'
import { runProgress } from './output/run-progress.ts'
import { runSummary } from './output/run-summary.ts'

/** Asks for a run of the sync that the command line names. */
export async function askForRun(
  context: CommandContext,
  more: Omit<RunRequest, 'sync'> = {},
): Promise<ExitCode> {
  const sync = context.args.positionals[0] ?? ''
  return await askAndShow(context, (control, following) => control.askForRun({ sync, ...more }, following))
}

/**
 * Asks, shows progress, prints the summary or the run as JSON, and returns the run's exit code. An interrupt
 * cancels the run. If the run ends with the status `wants`, the command succeeds.
 */
export async function askAndShow(
  context: CommandContext,
  ask: (control: Control, following: Following) => Promise<FollowedRun>,
  { wants }: { readonly wants?: RunStatus } = {},
): Promise<ExitCode> {
  const { json, stdout, stderr, errorColor, signal: cancel } = context
  await using control = await openControl(context)
  const progress = runProgress(stderr, { color: errorColor, now: Date.now })
  const onCancel = (): void => progress.ending()
  cancel.addEventListener('abort', onCancel, { once: true })
  let run: FollowedRun
  try {
    run = await ask(control, { onProgress: view => progress.update(view), cancel })
  } finally {
    cancel.removeEventListener('abort', onCancel)
    progress.end()
  }
  if (json) stdout.write(`${JSON.stringify(run.view)}\n`)
  else stdout.write(runSummary(run.view, { ...outputOptions(context), now: Date.now() }))
  if (cancel.aborted) return EXIT.interrupted
  return run.view.status === wants ? EXIT.success : exitCodeOf(run.view)
}

function exitCodeOf({ status, errorCode }: RunView): ExitCode {
  return exitCodeOfRun(status, errorCode ?? null)
}

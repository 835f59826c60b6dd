/** The part that commands about a run share: ask, show the progress of the run, and print its result. */
import type { RunView } from '@sluice/contracts/api'
import type { RunStatus } from '@sluice/contracts/records'
import type { Control, FollowedRun, Following, RunRequest } from '@sluice/control/port'
import type { CommandContext } from './command.ts'
import { EXIT, exitCodeOfRun, worstOf, type ExitCode } from './exit-codes.ts'
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
  await using control = await openControl(context)
  const { exitCode, view } = await asked(context, following => ask(control, following), { wants })
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
  requests: readonly RunRequest[],
): Promise<ExitCode> {
  const views: RunView[] = []
  const exitCodes: ExitCode[] = []
  for (const request of requests) {
    if (context.signal.aborted) break
    const { exitCode, view } = await asked(context, following => control.askForRun(request, following), {})
    exitCodes.push(exitCode)
    views.push(view)
  }
  if (context.json) context.stdout.write(`${JSON.stringify(views)}\n`)
  return worstOf(exitCodes)
}

interface Asked {
  readonly exitCode: ExitCode
  readonly view: RunView
}

/** Shows progress, and prints the summary unless JSON is wanted. */
async function asked(
  context: CommandContext,
  ask: (following: Following) => Promise<FollowedRun>,
  { wants }: { readonly wants?: RunStatus | undefined },
): Promise<Asked> {
  const { json, stdout, stderr, errorColor, signal: cancel } = context
  const progress = runProgress(stderr, { color: errorColor, now: Date.now })
  const onCancel = (): void => progress.ending()
  cancel.addEventListener('abort', onCancel, { once: true })
  let run: FollowedRun
  try {
    run = await ask({ onProgress: view => progress.update(view), cancel })
  } finally {
    cancel.removeEventListener('abort', onCancel)
    progress.end()
  }
  const { view } = run
  if (!json) stdout.write(runSummary(view, { ...outputOptions(context), now: Date.now() }))
  if (cancel.aborted) return { exitCode: EXIT.interrupted, view }
  return { exitCode: view.status === wants ? EXIT.success : exitCodeOf(view), view }
}

function exitCodeOf({ status, errorCode }: RunView): ExitCode {
  return exitCodeOfRun(status, errorCode ?? null)
}

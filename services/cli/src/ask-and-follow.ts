/** What the commands do that ask for a run: ask, follow it to its end, and say what it came to. */
import { basename } from 'node:path'
import { isErrorCode } from '@sluice/contracts/errors'
import type { Command, ResourceRecord, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { isDistributed } from '@sluice/runtime/distributed-settings'
import { writeResources } from '@sluice/stage/stored-documents'
import { loggerFor } from './cli-logger.ts'
import type { CommandContext } from './command.ts'
import { openPipeline } from './compose.ts'
import { EXIT, exitCodeOfRun, type ExitCode } from './exit-codes.ts'
import { followRun, runCommand, sendCommand, type FollowedRun } from './follow-run.ts'
import { outputOptions } from './history-options.ts'
import { runProgress } from './output/run-progress.ts'
import { runSummary } from './output/run-summary.ts'
import type { Pipeline } from './pipeline.ts'
import { assertSecrets } from '@sluice/project/assert-secrets'
import { loadProject } from '@sluice/project/load-project'
import type { Project } from '@sluice/project/project'
import { resolveDefinition } from '@sluice/project/resolve-definition'

export interface Asked {
  /** Published before, so that the run works by it; null where what is asked needs none of it. */
  readonly project: Project | null
  /** For the figures of its triggers; null where it is not known. */
  readonly definition: Definition | null
  readonly command: Command
  /** The run that is followed. */
  readonly runId: string
  /** What that run is known to be already. */
  readonly beyond?: RunEvent
}

/**
 * Asks for a run of the sync that the command line names, by the project as it is, and does all the rest.
 * Throws as the project's loading does, and `not-found` for a sync that it does not have.
 */
export async function askForRun(
  context: CommandContext,
  more: Partial<Pick<Command, 'kind' | 'cause' | 'scope'>> = {},
): Promise<ExitCode> {
  const { args, dir, env, signal } = context
  const sync = args.positionals[0] ?? ''
  const project = await loadProject(dir, { env, signal })
  const definition = resolveDefinition(project, sync)
  // Elsewhere, the secrets are where the services are.
  if (!isDistributed(env)) assertSecrets(definition, env)
  await using pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
  const command = runCommand(pipeline, sync, more)
  return await askAndFollow(context, pipeline, { project, definition, command, runId: command.id })
}

/** Asks, shows progress, prints the summary or the run as JSON, and gives the run's exit code. */
export async function askAndFollow(
  context: CommandContext,
  pipeline: Pipeline,
  asked: Asked,
): Promise<ExitCode> {
  const { json, stdout, signal } = context
  const run = await follow(context, pipeline, asked)
  if (json) stdout.write(`${JSON.stringify(run.view)}\n`)
  else stdout.write(runSummary(run.view, { ...outputOptions(context), now: Date.now() }))
  if (signal.aborted) return EXIT.interrupted
  // What was to be ended has ended.
  if (asked.command.kind === 'cancel' && run.event.status === 'cancelled') return EXIT.success
  return exitCodeOf(run)
}

/**
 * Starts the services, asks and follows the run; an interrupt cancels the run, and what is under way still
 * ends.
 */
async function follow(context: CommandContext, pipeline: Pipeline, asked: Asked): Promise<FollowedRun> {
  const { project, definition, command, runId, beyond } = asked
  const { sync } = command
  const { stderr, errorColor, signal: cancel } = context
  const { signal } = new AbortController()
  const progress = runProgress(stderr, { color: errorColor, now: Date.now })
  const onCancel = (): void => progress.ending()
  const done = new AbortController()
  const failed = new AbortController()
  if (project !== null) await writeResources(pipeline, recordsOf(project), { signal })
  await sendCommand(pipeline, command, signal)
  const services = pipeline
    .start(new Set([sync]), { drain: done.signal, signal })
    .catch((error: unknown) => failed.abort(error))
  cancel.addEventListener('abort', onCancel, { once: true })
  try {
    return await followRun(
      pipeline,
      { sync, runId, definition, beyond },
      { onProgress: view => progress.update(view), cancel, signal: failed.signal },
    )
  } finally {
    cancel.removeEventListener('abort', onCancel)
    progress.end()
    done.abort()
    await services
  }
}

function recordsOf(project: Project): ResourceRecord[] {
  return [...project.resources.values()].map(spec => ({
    kind: spec.kind,
    name: spec.name,
    project: basename(project.dir),
    spec: JSON.stringify(spec),
  }))
}

function exitCodeOf({ event }: FollowedRun): ExitCode {
  const code = event.errorCode
  return exitCodeOfRun(event.status, code !== null && isErrorCode(code) ? code : null)
}

/** `sluice run`. */
import { basename } from 'node:path'
import { isErrorCode } from '@sluice/contracts/errors'
import type { ResourceRecord } from '@sluice/contracts/records'
import { isDistributed } from '@sluice/runtime/distributed-settings'
import { writeResources } from '@sluice/stage/stored-documents'
import { loggerFor } from '../cli-logger.ts'
import type { Command, CommandContext } from '../command.ts'
import { openPipeline } from '../compose.ts'
import { EXIT, exitCodeOfRun, type ExitCode } from '../exit-codes.ts'
import { followRun, requestRun, type FollowedRun } from '../follow-run.ts'
import { outputOptions } from '../history-options.ts'
import { runProgress } from '../output/run-progress.ts'
import { runSummary } from '../output/run-summary.ts'
import type { Pipeline } from '../pipeline.ts'
import { loadProject } from '../project/load-project.ts'
import type { Project } from '../project/project.ts'
import { resolveDefinition } from '../project/resolve-definition.ts'
import { assertSecrets } from '../project/assert-secrets.ts'

export const command: Command = {
  description:
    'Reads the model, finds the rows that were added, changed or removed since they were last delivered, sends the requests, and waits for the outcome.\n' +
    'Rows that are not delivered are tried again on the next run. Interrupting it ends the run cleanly: what was not sent yet is sent by the next.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to run' }],
  options: {},
  examples: [
    { command: 'sluice run customers', does: 'one run, with progress and a summary' },
    {
      command: 'sluice run customers --json',
      does: 'for scripts: the run as JSON; the exit code tells how it went',
    },
  ],
  async run(context) {
    const { args, dir, env, signal, json, stdout } = context
    const sync = args.positionals[0] ?? ''
    const project = await loadProject(dir, { env, signal })
    const definition = resolveDefinition(project, sync)
    // Elsewhere, the secrets are where the services are.
    if (!isDistributed(env)) assertSecrets(definition, env)
    await using pipeline = await openPipeline({ dir, env, logger: loggerFor(context), signal })
    const run = await runSync(context, pipeline, { sync, project, definition })
    if (json) stdout.write(`${JSON.stringify(run.view)}\n`)
    else stdout.write(runSummary(run.view, { ...outputOptions(context), now: Date.now() }))
    return signal.aborted ? EXIT.interrupted : exitCodeOf(run)
  },
}

/**
 * Starts the services, asks for the run and follows it; an interrupt cancels the run, and what is under way
 * still ends.
 */
async function runSync(
  context: CommandContext,
  pipeline: Pipeline,
  of: {
    readonly sync: string
    readonly project: Project
    readonly definition: ReturnType<typeof resolveDefinition>
  },
): Promise<FollowedRun> {
  const { sync, project, definition } = of
  const { stderr, errorColor, signal: cancel } = context
  const { signal } = new AbortController()
  const progress = runProgress(stderr, { color: errorColor, now: Date.now })
  const done = new AbortController()
  const failed = new AbortController()
  await writeResources(pipeline, recordsOf(project), { signal })
  const runId = await requestRun(pipeline, sync, signal)
  const services = pipeline
    .start(new Set([sync]), { drain: done.signal, signal })
    .catch((error: unknown) => failed.abort(error))
  try {
    return await followRun(
      pipeline,
      { sync, runId, definition },
      { onProgress: view => progress.update(view), cancel, signal: failed.signal },
    )
  } finally {
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

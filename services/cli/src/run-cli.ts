/** Runs one command line: finds the command, calls it, prints errors, and returns the exit code. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'
import { terminalColumns } from './command.ts'
import type { TextSink, TextSource } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT, exitCodeOfError } from './exit-codes.ts'
import type { ExitCode } from './exit-codes.ts'
import { commandHelp, overallHelp } from './help.ts'
import { errorBody, printError } from './output/error.ts'
import { findCommand, parseCommandArgs, wantsJson } from './parse-command-line.ts'

export interface CliProcess {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: { readonly [name: string]: string | undefined }
  /** Default: that of the process. */
  readonly stdin?: TextSource
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly signal: AbortSignal
}

/** Never throws. It prints errors for people on stderr, or with `--json` as a document on stdout. */
export async function runCli(cli: CliProcess): Promise<ExitCode> {
  try {
    return await dispatch(cli)
  } catch (error) {
    const known = asSluiceError(error, cli.signal)
    if (wantsJson(cli.argv)) cli.stdout.write(`${JSON.stringify(errorBody(known))}\n`)
    else if (known.code !== 'aborted') {
      cli.stderr.write(
        printError(known, { color: takesColor(cli.stderr, cli), columns: terminalColumns(cli.stderr) }),
      )
    }
    return exitCodeOfError(known.code)
  }
}

async function dispatch(cli: CliProcess): Promise<ExitCode> {
  const { entry, globals, words } = findCommand(cli.argv, COMMANDS)
  const color = takesColor(cli.stdout, cli)
  if (entry === null && globals.version) return dispatch({ ...cli, argv: ['version', ...versionFlags(cli)] })
  if (entry === null) {
    cli.stdout.write(overallHelp(COMMANDS, { color }))
    return EXIT.success
  }
  const { command } = await entry.load()
  if (globals.help) {
    cli.stdout.write(commandHelp(entry, command, { color }))
    return EXIT.success
  }
  const args = parseCommandArgs(cli.argv, { entry, words, command })
  return await command.run({
    commands: COMMANDS,
    args,
    dir: projectDir(cli.cwd, globals.dir),
    json: globals.json,
    stdin: cli.stdin ?? process.stdin,
    stdout: cli.stdout,
    stderr: cli.stderr,
    env: cli.env,
    signal: cli.signal,
    color,
    errorColor: takesColor(cli.stderr, cli),
  })
}

function versionFlags(cli: CliProcess): readonly string[] {
  return wantsJson(cli.argv) ? ['--json'] : []
}

function projectDir(cwd: string, dir: string | null): string {
  if (dir === null) return cwd
  const path = resolve(cwd, dir)
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return path
  throw new SluiceError('usage', `\`--dir\` wants an existing folder, found ${path}.`)
}

/** Colours only for a terminal, unless the user has switched them off (https://no-color.org). */
function takesColor(sink: TextSink, { argv, env }: CliProcess): boolean {
  if (argv.includes('--no-color') || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb') return false
  return sink.isTTY === true
}

/** Turns an unexpected error into a message that calls it a bug of Sluice, with its stack as the cause. */
function asSluiceError(thrown: unknown, signal: AbortSignal): SluiceError {
  const error = firstError(thrown)
  if (isSluiceError(error)) return error
  if (signal.aborted) return new SluiceError('aborted', 'Interrupted.', { cause: error })
  const message = error instanceof Error ? error.message : String(error)
  if (saysDiskFailed(message))
    return new SluiceError('disk', `${message}. Make room on that disk and run again.`, { cause: error })
  return new SluiceError('internal', `This is a bug in Sluice, please report it: ${message}`, {
    cause: error,
  })
}

/** The first error, if closing resources failed after it. */
function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error
}

/** Runs one command line: finds the command, calls it, prints errors, and returns the exit code. */
import { statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { safeJson } from '@sluice/contracts/safe-json'
import { diskFailure } from '@sluice/domain/disk-failure'
import { environmentIn } from '@sluice/project/files/environments'
import { findProject } from '@sluice/project/files/project-root'
import { terminalColumns, type Command, type TextSink, type TextSource } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT, exitCodeOfError, type ExitCode } from './exit-codes.ts'
import { commandHelp, overallHelp } from './commands/help.ts'
import { asTyped, type Called } from './output/called.ts'
import { errorBody, printError } from './output/error.ts'
import { findCommand, parseCommandArgs, placeGiven, wantsJson } from './parse-command-line.ts'

export interface CliProcess {
  readonly argv: readonly string[]
  readonly cwd: string
  /** The command as people type it. Default: `sluice`. */
  readonly command?: string
  readonly env: { readonly [name: string]: string | undefined }
  /** Default: stdin of the process. */
  readonly stdin?: TextSource
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly signal: AbortSignal
  /** In 10 s, calls `say` and ends the process with this code, unless it has ended by then. */
  readonly endSoon?: (exitCode: ExitCode, say: () => void) => void
}

const NOT_ENDED =
  'The work has not ended within 10 s of the interrupt, so the command no longer waits for it. `sluice runs` shows what becomes of a run.'

/** Never throws. It prints errors for people on stderr, or with `--json` as a document on stdout. */
export async function runCli(cli: CliProcess): Promise<ExitCode> {
  try {
    return await dispatch(cli)
  } catch (error) {
    const known = asSluiceError(error, cli.signal)
    if (wantsJson(cli.argv) || known.code !== 'aborted') reportError(known, cli)
    return exitCodeOfError(known.code)
  }
}

function reportError(error: SluiceError, cli: CliProcess): void {
  const { stdout, stderr, argv } = cli
  const shown = { color: takesColor(stderr, cli), columns: terminalColumns(stderr), called: calledAs(cli) }
  if (wantsJson(argv)) stdout.write(safeJson(`${JSON.stringify(errorBody(error))}\n`))
  else stderr.write(printError(error, shown))
}

async function dispatch(cli: CliProcess): Promise<ExitCode> {
  const { entry, globals, words } = findCommand(cli.argv, COMMANDS)
  const color = takesColor(cli.stdout, cli)
  if (entry === null && globals.version) return dispatch({ ...cli, argv: ['version', ...versionFlags(cli)] })
  if (entry === null) {
    cli.stdout.write(overallHelp(COMMANDS, { color, columns: terminalColumns(cli.stdout) }))
    return EXIT.success
  }
  const command = await entry.load()
  if (globals.help) {
    cli.stdout.write(commandHelp(entry, command, { color, columns: terminalColumns(cli.stdout) }))
    return EXIT.success
  }
  const endSoon = (error: SluiceError): void =>
    cli.endSoon?.(exitCodeOfError(error.code), () => reportError(error, cli))
  const onInterrupt = (): void => endSoon(new SluiceError('aborted', NOT_ENDED))
  if (command.serves !== true) cli.signal.addEventListener('abort', onInterrupt, { once: true })
  const args = parseCommandArgs(cli.argv, { entry, words, command })
  const env = globals.env === null ? cli.env : { ...cli.env, SLUICE_ENV: globals.env }
  const dir = await projectDir({ ...cli, env }, { dir: globals.dir, command, words: entry.name })
  const running = command.run({
    commands: COMMANDS,
    args,
    dir,
    cwd: cli.cwd,
    called: calledAs(cli),
    json: globals.json,
    stdin: cli.stdin ?? process.stdin,
    stdout: globals.json ? { write: (text, done) => cli.stdout.write(safeJson(text), done) } : cli.stdout,
    stderr: cli.stderr,
    env,
    signal: cli.signal,
    endSoon,
    color,
    errorColor: takesColor(cli.stderr, cli),
  })
  return await running.catch((error: unknown) => {
    throw isSluiceError(firstError(error)) || isFolder(dir) ? error : movedAway(dir, error)
  })
}

function movedAway(dir: string, cause: unknown): SluiceError {
  return new SluiceError(
    'missing-file',
    `The folder ${dir} is gone: it was moved or removed while the command was at work. Call the command again in the folder that you mean.`,
    { cause },
  )
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

function versionFlags(cli: CliProcess): readonly string[] {
  return wantsJson(cli.argv) ? ['--json'] : []
}

function calledAs({ argv, command = 'sluice' }: CliProcess): Called {
  return { command, ...placeGiven(argv) }
}

/** Returns the project folder, absolute. A command that needs no project takes the folder as it is. */
async function projectDir(
  cli: CliProcess,
  { dir, command, words }: { readonly dir: string | null; readonly command: Command; readonly words: string },
): Promise<string> {
  const start = resolve(cli.cwd, dir ?? '.')
  if (!isFolder(start)) throw new SluiceError('usage', `\`--dir\` wants an existing folder, found ${start}.`)
  // With SLUICE_URL, the project is on the server, so the folder does not matter.
  const isElsewhere = (cli.env['SLUICE_URL'] ?? '') !== '' && command.readsFolder !== true
  if (command.anywhere === true || isElsewhere) return start
  const found = await findProject(start, cli)
  if (found.below === null || command.besideProjects === true) {
    // This throws for an unknown environment before anything is made for that environment.
    environmentIn(found.dir, cli.env)
    return found.dir
  }
  const below = join(found.dir, found.below)
  const inside = join(relative(cli.cwd, below) || '.')
  throw new SluiceError(
    'usage',
    `Another project lies in ${below}, below ${found.dir}, and a project reads the files of all folders below it. ` +
      `To work in the one below: \`${asTyped(`sluice ${words}`, { ...calledAs(cli), dir: inside })} …\`. ` +
      `To work in ${found.dir}, first move ${found.below} out of it.`,
  )
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
  const message = messageOf(error)
  return (
    diskFailure('A file cannot be written', error) ??
    new SluiceError('internal', `This is a bug in Sluice, please report it: ${message}`, { cause: error })
  )
}

/** The first error, if closing resources failed after it. */
function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error
}

/**
 * The parts of a command of `sluice`. A file in `commands/` exports one command as `command`, and
 * `commands.ts` lists all of them.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import type { ExitCode } from './exit-codes.ts'
import type { Called } from './output/called.ts'

/** An option of one command, or a global one. */
export interface OptionSpec {
  readonly type: 'boolean' | 'text' | 'number'
  /** The name of the value in help, in upper case: `N`, `SYNC`. */
  readonly value?: string
  readonly help: string
  /** The only values that the option accepts; absent if it accepts any. */
  readonly choices?: readonly string[]
  /** True for a text option that may be given several times. */
  readonly repeats?: true
  /** True for a text that may be empty, as a key may be. */
  readonly mayBeEmpty?: true
  /** The bounds of a number, which has to be whole. */
  readonly min?: number
  readonly max?: number
}

export interface PositionalSpec {
  /** In upper case, as help shows it. */
  readonly name: string
  readonly required: boolean
  /** True for the last one, if it may be given several times. */
  readonly repeats?: boolean
  /** The values that shells complete. */
  readonly choices?: readonly string[]
  readonly help: string
}

export interface Example {
  readonly command: string
  readonly does: string
}

/** The arguments of a command after parsing, with only the options that were given. */
export interface CommandArgs {
  readonly positionals: readonly string[]
  readonly options: { readonly [name: string]: string | number | boolean | undefined }
  /** The values of options that may be given several times. */
  readonly repeated?: { readonly [name: string]: readonly string[] }
}

/** The stream that a command prints to; `columns` is the width of a terminal. */
export interface TextSink {
  /** Returns false if the reader is slow. Then `done` is called once the text is written, or cannot be. */
  write(text: string, done?: () => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** The stream that a command reads from. A terminal in raw mode shows nothing of what is typed. */
export interface TextSource extends AsyncIterable<string | Uint8Array> {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

const USUAL_COLUMNS = 80

/** The width of a terminal. Null for other streams, and for terminals that report a width of 0. */
export function terminalColumns({ isTTY, columns }: TextSink): number | null {
  if (isTTY !== true) return null
  return columns === undefined || columns === 0 ? USUAL_COLUMNS : columns
}

export interface CommandContext {
  /** The table of all commands, for commands that explain it. */
  readonly commands: readonly CommandEntry[]
  readonly args: CommandArgs
  /** The project folder, absolute. For a command that needs no project, the folder it was called in. */
  readonly dir: string
  /** The folder in which the command was called. Relative paths that people type start there. */
  readonly cwd: string
  /**
   * The program name and the options `--dir` and `--env` of this call, which hints repeat for people to copy.
   */
  readonly called: Called
  /** If true, the command prints exactly one JSON document on stdout, and nothing else there. */
  readonly json: boolean
  readonly stdin: TextSource
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly env: { readonly [name: string]: string | undefined }
  /** The first interrupt aborts it. The command then ends cleanly, and the exit code is 130. */
  readonly signal: AbortSignal
  /** Ends the process with this error in 10 s, unless it has ended by then. */
  readonly endSoon: (error: SluiceError) => void
  /** True if stdout takes colours. */
  readonly color: boolean
  /** True if stderr takes colours. */
  readonly errorColor: boolean
}

export interface Command {
  /** A few sentences for the command's own help: what it does, and what its users should know. */
  readonly description: string
  readonly positionals: readonly PositionalSpec[]
  readonly options: { readonly [name: string]: OptionSpec }
  readonly examples: readonly Example[]
  /** The meaning of its exit codes, beside 0 (success) and 2 (wrong usage or configuration). */
  readonly exits?: { readonly [code in ExitCode]?: string }
  /** True for a command that may also be called in a folder above a project. */
  readonly besideProjects?: true
  /** True for a server, which may take longer than 10 s to end after an interrupt. */
  readonly serves?: true
  /** True for a command that needs no project. */
  readonly anywhere?: true
  /** True for a command that reads the folder even if a server has the project. */
  readonly readsFolder?: true
  /**
   * Runs the command and resolves with the exit code. Throws `SluiceError` for every error that a person
   * should read. `runCli` prints it, as JSON with `--json`, and chooses the exit code.
   */
  run(context: CommandContext): Promise<ExitCode>
}

/** A command in the table: the texts for the overview, and a function that loads the command. */
export interface CommandEntry {
  /** One word, or two as in `runs show`. */
  readonly name: string
  readonly summary: string
  /** Loads the command, so that a process loads only the one that it runs. */
  readonly load: () => Promise<Command>
}

/** A text option, or undefined. */
export function textOption(args: CommandArgs, name: string): string | undefined {
  const value = args.options[name]
  return typeof value === 'string' ? value : undefined
}

export function numberOption(args: CommandArgs, name: string): number | undefined {
  const value = args.options[name]
  return typeof value === 'number' ? value : undefined
}

export function booleanOption(args: CommandArgs, name: string): boolean {
  return args.options[name] === true
}

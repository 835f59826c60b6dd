/**
 * What a command of `sluice` is made of. A file in `commands/` exports one as `command`; `commands.ts` lists
 * them.
 */
import type { ExitCode } from './exit-codes.ts'

/** An option of one command, or a global one. */
export interface OptionSpec {
  readonly type: 'boolean' | 'text' | 'number'
  /** What help shows for the value, in upper case: `N`, `SYNC`. */
  readonly value?: string
  readonly help: string
  /** Where only these values are taken. */
  readonly choices?: readonly string[]
  /** For numbers, which are whole. */
  readonly min?: number
  readonly max?: number
}

export interface PositionalSpec {
  /** In upper case, as help shows it. */
  readonly name: string
  readonly required: boolean
  readonly help: string
}

export interface Example {
  readonly command: string
  readonly does: string
}

/** The arguments of a command after parsing; options that were not given are missing. */
export interface CommandArgs {
  readonly positionals: readonly string[]
  readonly options: { readonly [name: string]: string | number | boolean | undefined }
}

/** Where a command prints; `columns` is the width of a terminal. */
export interface TextSink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const USUAL_COLUMNS = 80

/** The width of a terminal, which some report as 0; null for anything else. */
export function terminalColumns({ isTTY, columns }: TextSink): number | null {
  if (isTTY !== true) return null
  return columns === undefined || columns === 0 ? USUAL_COLUMNS : columns
}

export interface CommandContext {
  /** The table of all commands, for those that explain them. */
  readonly commands: readonly CommandEntry[]
  readonly args: CommandArgs
  /** The project folder, absolute. */
  readonly dir: string
  /** Exactly one JSON document is to be printed on stdout, and nothing else there. */
  readonly json: boolean
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly env: { readonly [name: string]: string | undefined }
  /** Aborted by the first interrupt; a command ends cleanly then, and the exit code is 130. */
  readonly signal: AbortSignal
  /** Whether stdout takes colours. */
  readonly color: boolean
  /** Whether stderr takes colours. */
  readonly errorColor: boolean
}

export interface Command {
  /** A few sentences for the command's own help: what it does, and what to know. */
  readonly description: string
  readonly positionals: readonly PositionalSpec[]
  readonly options: { readonly [name: string]: OptionSpec }
  readonly examples: readonly Example[]
  /**
   * Does it and resolves with the exit code. Throws `SluiceError` for everything that a person is to be told;
   * the frame prints it, as JSON where asked, and picks the exit code.
   */
  run(context: CommandContext): Promise<ExitCode>
}

/** A line of the table of commands. */
export interface CommandEntry {
  /** One word, or two as in `runs show`. */
  readonly name: string
  readonly summary: string
  /** Only what is called is loaded. */
  readonly load: () => Promise<{ readonly command: Command }>
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

/**
 * Parses a command line with the table of commands. Every mistake is a `usage` error that names the nearest
 * correct word.
 */
import { parseArgs } from 'node:util'
import { SluiceError } from '@sluice/contracts/errors'
import { nearestName } from '@sluice/domain/nearest-name'
import type { Command, CommandArgs, CommandEntry, OptionSpec } from './command.ts'

/** Options that every command takes, before or after its name. */
export const GLOBAL_OPTIONS = {
  dir: {
    type: 'text',
    value: 'DIR',
    help: 'the project folder (default: the nearest one, upwards from here)',
  },
  env: {
    type: 'text',
    value: 'ENV',
    help: 'the environment: fields and variables of sluice.ENV.yaml, and a state of its own (or SLUICE_ENV)',
  },
  json: { type: 'boolean', help: 'print one JSON document on stdout, and nothing else there' },
  color: { type: 'boolean', help: 'print without colours: --no-color, or NO_COLOR in the environment' },
  help: { type: 'boolean', help: 'explain the command' },
  version: { type: 'boolean', help: 'print the version' },
} as const satisfies { readonly [name: string]: OptionSpec }

/** Short forms of global options. */
const SHORT: { readonly [letter: string]: string } = { h: 'help', v: 'version' }

export interface GlobalOptions {
  readonly dir: string | null
  readonly env: string | null
  readonly json: boolean
  readonly help: boolean
  readonly version: boolean
}

type Token = { readonly index: number } & (
  | {
      readonly kind: 'option'
      readonly name: string
      readonly rawName: string
      readonly value: string | undefined
      readonly inlineValue: boolean | undefined
    }
  | { readonly kind: 'positional'; readonly value: string }
  | { readonly kind: 'option-terminator' }
)

/** The tokens of a command line. Only `text` and `number` options take a value from the next word. */
function tokensOf(
  argv: readonly string[],
  options: { readonly [name: string]: OptionSpec },
): readonly Token[] {
  const config: { [name: string]: { type: 'boolean' | 'string' } } = {}
  for (const [name, { type }] of Object.entries(options)) {
    config[name] = { type: type === 'boolean' ? 'boolean' : 'string' }
  }
  return parseArgs({
    args: [...argv],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  }).tokens
}

export interface FoundCommand {
  readonly entry: CommandEntry | null
  readonly globals: GlobalOptions
  /** The number of leading positionals that are the command's name. */
  readonly words: number
}

/** True if the command line has `--json`, even if the rest of it is wrong. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? undefined : end).includes('--json')
}

/** Returns the values of `--dir` and `--env`, even if the rest of the command line is wrong. */
export function placeGiven(argv: readonly string[]): Pick<GlobalOptions, 'dir' | 'env'> {
  const { dir, env } = globalsOf(tokensOf(argv, GLOBAL_OPTIONS))
  return { dir, env }
}

/**
 * Finds the command that a command line names. `entry` is null if it names none. Throws `usage` for an
 * unknown command.
 */
export function findCommand(argv: readonly string[], commands: readonly CommandEntry[]): FoundCommand {
  const tokens = tokensOf(argv, GLOBAL_OPTIONS)
  const words = tokens.flatMap(token => (token.kind === 'positional' ? [token.value] : []))
  const globals = globalsOf(tokens)
  const [first, second] = words
  if (first === undefined) {
    const unknown = tokens.find(token => token.kind === 'option' && !isGlobal(token.name))
    if (unknown?.kind === 'option') throw unknownOption(unknown.rawName, GLOBAL_OPTIONS, 'sluice')
    for (const token of tokens)
      if (token.kind === 'option' && (token.name === 'dir' || token.name === 'env'))
        optionValue(token, GLOBAL_OPTIONS[token.name], 'sluice')
    return { entry: null, globals, words: 0 }
  }
  const double = commands.find(({ name }) => second !== undefined && name === `${first} ${second}`)
  if (double !== undefined) return { entry: double, globals, words: 2 }
  const single = commands.find(({ name }) => name === first)
  if (single !== undefined) return { entry: single, globals, words: 1 }
  throw unknownCommand(first, commands)
}

function isGlobal(name: string): boolean {
  return Object.hasOwn(GLOBAL_OPTIONS, name) || Object.hasOwn(SHORT, name) || name === 'no-color'
}

function globalsOf(tokens: readonly Token[]): GlobalOptions {
  const given = new Set<string>()
  let dir: string | null = null
  let env: string | null = null
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const name = SHORT[token.name] ?? token.name
    given.add(name)
    if (name === 'dir') dir = token.value ?? ''
    if (name === 'env') env = token.value ?? ''
  }
  return {
    dir,
    env,
    json: given.has('json'),
    help: given.has('help'),
    version: given.has('version'),
  }
}

function unknownCommand(name: string, commands: readonly CommandEntry[]): SluiceError {
  const near = nearestName(
    name,
    commands.map(entry => entry.name),
  )
  const hint = near === null ? '`sluice help` lists the commands.' : `Did you mean \`sluice ${near}\`?`
  return new SluiceError('usage', `There is no command \`${name}\`. ${hint}`)
}

/** Other tools take these as options, and Sluice takes them from environment variables. */
const VARIABLES = ['port', 'host', 'url', 'token']

function unknownOption(
  rawName: string,
  options: { readonly [name: string]: OptionSpec },
  command: string,
): SluiceError {
  const near = nearestName(rawName.replace(/^-+/, ''), [...Object.keys(options), 'no-color'])
  const variable = VARIABLES.find(name => `--${name}` === rawName)
  const hint =
    variable !== undefined
      ? ` The environment variable SLUICE_${variable.toUpperCase()} sets it.`
      : near === null
        ? ''
        : ` Did you mean \`--${near}\`?`
  return new SluiceError('usage', `\`${command}\` has no option \`${rawName}\`.${hint} ${seeHelp(command)}`)
}

function seeHelp(command: string): string {
  return command === 'sluice' ? '`sluice help` explains it.' : `\`${command} --help\` explains it.`
}

/** Parses the arguments of a command. Throws `usage`. */
export function parseCommandArgs(
  argv: readonly string[],
  { entry, words, command }: { entry: CommandEntry; words: number; command: Command },
): CommandArgs {
  const specs: { readonly [name: string]: OptionSpec } = { ...command.options, ...GLOBAL_OPTIONS }
  const called = `sluice ${entry.name}`
  const tokens = tokensOf(argv, specs)
  const options: { [name: string]: string | number | boolean } = {}
  const repeated: { [name: string]: readonly string[] } = {}
  const given = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const name = SHORT[token.name] ?? token.name
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    if (name === 'no-color') continue
    if (spec === undefined || name === 'color') throw unknownOption(token.rawName, specs, called)
    const value = optionValue(token, spec, called)
    if (spec.repeats === true) repeated[name] = [...(repeated[name] ?? []), String(value)]
    else if (spec.type !== 'boolean' && given.has(name)) throw givenTwice(name, called)
    given.add(name)
    if (!Object.hasOwn(GLOBAL_OPTIONS, name)) options[name] = value
  }
  const positionals = tokens.flatMap(token => (token.kind === 'positional' ? [token.value] : [])).slice(words)
  checkPositionals(positionals, command, called)
  return { positionals, options, repeated }
}

function givenTwice(name: string, called: string): SluiceError {
  const instead =
    name === 'key'
      ? `call the command once for each row. The key of several columns is a JSON array: \`--key '["a", 1]'\``
      : 'keep one of them'
  return new SluiceError('usage', `\`--${name}\` is given twice; ${instead}. ${seeHelp(called)}`)
}

function optionValue(
  token: Extract<Token, { kind: 'option' }>,
  spec: OptionSpec,
  called: string,
): string | number | boolean {
  if (spec.type === 'boolean') {
    if (token.value === undefined) return true
    throw new SluiceError('usage', `\`${token.rawName}\` takes no value, found \`${token.value}\`.`)
  }
  const { value } = token
  const looksLikeOption = token.inlineValue === false && value !== undefined && /^--?[a-z]/i.test(value)
  if (value === undefined || (value === '' && spec.mayBeEmpty !== true) || looksLikeOption) {
    const found = looksLikeOption
      ? `, found \`${value}\` (write \`${token.rawName}=${value}\` if you mean it)`
      : ''
    throw new SluiceError(
      'usage',
      `\`${token.rawName}\` wants a value: \`${token.rawName} ${spec.value ?? 'TEXT'}\`${found}. ${seeHelp(called)}`,
    )
  }
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    const near = nearestName(value, spec.choices)
    const hint = near === null ? '' : `; did you mean \`${near}\`?`
    const choices = spec.choices.map(choice => `\`${choice}\``).join(', ')
    throw new SluiceError('usage', `\`${token.rawName}\` wants one of ${choices}, found \`${value}\`${hint}`)
  }
  return spec.type === 'number' ? wholeNumber(token.rawName, value, spec) : value
}

function wholeNumber(rawName: string, value: string, { min = 0, max = 1_000_000 }: OptionSpec): number {
  const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN
  if (number >= min && number <= max) return number
  throw new SluiceError(
    'usage',
    `\`${rawName}\` wants a whole number from ${min} to ${max}, found \`${value}\`.`,
  )
}

function checkPositionals(given: readonly string[], command: Command, called: string): void {
  const missing = command.positionals.find((spec, index) => spec.required && !given[index])
  if (missing !== undefined) {
    throw new SluiceError('usage', `\`${called}\` wants ${missing.name}: ${missing.help}. ${seeHelp(called)}`)
  }
  const extra = given[command.positionals.length]
  if (extra === undefined || command.positionals.at(-1)?.repeats === true) return
  const wanted = command.positionals.map(spec => spec.name).join(' ')
  throw new SluiceError(
    'usage',
    `\`${called}\` takes ${wanted === '' ? 'no argument' : `only ${wanted}`}, found \`${extra}\` beside it. ${seeHelp(called)}`,
  )
}

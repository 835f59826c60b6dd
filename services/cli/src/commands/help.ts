/** `sluice help`. The functions that make its texts are pure, so that tests can read them as people do. */
import { terminalColumns, type Command, type CommandEntry, type OptionSpec } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { painter, wrap } from '../output/paint.ts'
import { GLOBAL_OPTIONS, findCommand } from '../parse-command-line.ts'

export const command: Command = {
  description: 'Explains sluice and lists its commands, or explains one of them.',
  positionals: [
    { name: 'COMMAND', required: false, help: 'the command to explain' },
    { name: 'SUBCOMMAND', required: false, help: 'its second word, as in `runs show`' },
  ],
  options: {},
  anywhere: true,
  examples: [
    { command: 'sluice help', does: 'what sluice is, and all commands' },
    { command: 'sluice help runs show', does: 'the same as `sluice runs show --help`' },
  ],
  async run({ args, commands, stdout, color }) {
    const columns = terminalColumns(stdout)
    const { entry } = findCommand(args.positionals, commands)
    const text =
      entry === null
        ? overallHelp(commands, { color, columns })
        : commandHelp(entry, await entry.load(), { color, columns })
    stdout.write(text)
    return EXIT.success
  },
}

interface HelpOptions {
  readonly color: boolean
  /** The width of the terminal; null for other outputs. */
  readonly columns?: number | null
}

const WIDTH = 100
/** A wider text of the left column gets a line of its own. */
const MAX_LEFT = 34
const LEFT_OF_EXAMPLES = 60

function widthOf({ columns }: HelpOptions): number {
  return Math.min(Math.max(columns ?? WIDTH, 40), WIDTH)
}

/** Wraps the paragraphs of a text. Indented paragraphs, such as code, stay as they are. */
function paragraphs(text: string, width: number): string[] {
  return text.split('\n').flatMap(line => (line.startsWith(' ') ? [line] : wrap(line, width)))
}

const INTRODUCTION =
  'A project is a folder of YAML files: a source with data, a model (SQL with a primary key), a destination (an HTTP ' +
  'API) and a sync that says which request an added, changed or removed row makes. Each run sends what changed since ' +
  'the last one, until every row has arrived.'

const STEPS = [
  ['sluice init demo', 'writes a small project into the folder demo'],
  ['sluice --dir demo validate', 'checks its files'],
  ['sluice --dir demo preview customers', 'shows the requests that a run would send'],
  ['sluice --dir demo run customers', 'sends what changed since the last run'],
] as const

/** Returns the help of `sluice`: its purpose, the first steps and all commands. */
export function overallHelp(commands: readonly CommandEntry[], options: HelpOptions): string {
  const paint = painter(options.color)
  const width = widthOf(options)
  return [
    `${paint('bold', 'sluice')} turns row changes into HTTP requests.`,
    '',
    ...paragraphs(INTRODUCTION, width),
    '',
    paint('bold', 'Begin'),
    ...columns(STEPS, width),
    '',
    paint('bold', 'Usage'),
    '  sluice [--dir DIR] [--env ENV] [--json] COMMAND [ARGUMENTS] [OPTIONS]',
    '',
    paint('bold', 'Commands'),
    ...columns(
      commands.map(({ name, summary }) => [name, summary] as const),
      width,
    ),
    '',
    paint('bold', 'Options of every command'),
    ...columns(optionLines(GLOBAL_OPTIONS), width),
    '',
    paint('bold', 'Exit codes'),
    ...columns(ALL_CODES, width),
    '',
    '`sluice COMMAND --help` explains a command, with examples.',
    '',
  ].join('\n')
}

const ALL_CODES = [
  ['0', 'success'],
  ['1', 'the run failed or was cancelled'],
  ['2', 'wrong usage, configuration or SQL, missing file'],
  ['3', 'some rows were not delivered'],
  ['4', 'held: too many removals, or another destination'],
  ['5', 'a server, source, Kafka, registry or Redis cannot be reached'],
  ['130', 'interrupted'],
] as const

/** The exit codes of a command. Each can end well (0), or be called wrongly (2). */
function codesOf({ exits = {} }: Command): readonly (readonly [string, string])[] {
  const own: { readonly [code: string]: string } = {
    0: 'success',
    2: 'wrong usage or configuration',
    ...exits,
  }
  return Object.entries(own).sort(([a], [b]) => Number(a) - Number(b))
}

/** Returns the help of one command: its purpose, arguments, options and examples. */
export function commandHelp(entry: CommandEntry, command: Command, options: HelpOptions): string {
  const paint = painter(options.color)
  const width = widthOf(options)
  const positionals = command.positionals.map(({ name, required, repeats = false }) => {
    const shown = repeats ? `${name}…` : name
    return required ? shown : `[${shown}]`
  })
  const usage = ['sluice', entry.name, ...positionals, '[OPTIONS]'].join(' ')
  const lines = [
    `${paint('bold', `sluice ${entry.name}`)}: ${entry.summary}`,
    '',
    ...paragraphs(command.description, width),
    '',
  ]
  lines.push(paint('bold', 'Usage'), `  ${usage}`, '')
  if (command.positionals.length > 0) {
    lines.push(paint('bold', 'Arguments'))
    const named = command.positionals.map(({ name, help }) => [name, help] as const)
    lines.push(...columns(named, width), '')
  }
  if (Object.keys(command.options).length > 0) {
    lines.push(paint('bold', 'Options'), ...columns(optionLines(command.options), width), '')
  }
  lines.push(paint('bold', 'Options of every command'), ...columns(optionLines(GLOBAL_OPTIONS), width), '')
  if (command.examples.length > 0) {
    lines.push(paint('bold', 'Examples'))
    const shown = command.examples.map(example => [example.command, example.does] as const)
    lines.push(...columns(shown, width, LEFT_OF_EXAMPLES), '')
  }
  lines.push(paint('bold', 'Exit codes'), ...columns(codesOf(command), width), '')
  return lines.join('\n')
}

function optionLines(options: { readonly [name: string]: OptionSpec }): [string, string][] {
  return Object.entries(options).map(([name, spec]) => {
    if (name === 'color') return ['--no-color', spec.help]
    const value = spec.type === 'boolean' ? '' : ` ${spec.value ?? 'TEXT'}`
    return [`--${name}${value}`, spec.help]
  })
}

/**
 * Lays lines out in two columns. The right text is wrapped. It begins below the left text if that is too
 * wide.
 */
function columns(lines: readonly (readonly [string, string])[], width: number, maxLeft = MAX_LEFT): string[] {
  const maxWidth = Math.min(maxLeft, Math.floor(width / 2))
  const left = Math.max(...lines.map(([text]) => (text.length <= maxWidth ? text.length : 0)))
  const indent = ' '.repeat(left === 0 ? 6 : left + 4)
  return lines.flatMap(([text, does]) => {
    const [first = '', ...rest] = wrap(does, width - indent.length)
    const further = rest.map(line => `${indent}${line}`)
    if (text.length > maxWidth) return [`  ${text}`, `${indent}${first}`, ...further]
    return [`  ${text.padEnd(left)}  ${first}`, ...further]
  })
}

/** The texts of `sluice help`. The functions are pure, so that tests can read the texts as people do. */
import type { Command, CommandEntry, OptionSpec } from './command.ts'
import { painter, wrap } from './output/paint.ts'
import { GLOBAL_OPTIONS } from './parse-command-line.ts'

interface HelpOptions {
  readonly color: boolean
}

const WIDTH = 100

/** Wraps the paragraphs of a text. Indented paragraphs, such as code, stay as they are. */
function paragraphs(text: string): string[] {
  return text.split('\n').flatMap(line => (line.startsWith(' ') ? [line] : wrap(line, WIDTH)))
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

/** What sluice is, how to begin, and all commands. */
export function overallHelp(commands: readonly CommandEntry[], { color }: HelpOptions): string {
  const paint = painter(color)
  return [
    `${paint('bold', 'sluice')} turns row changes into HTTP requests.`,
    '',
    ...paragraphs(INTRODUCTION),
    '',
    paint('bold', 'Begin'),
    ...columns(STEPS),
    '',
    paint('bold', 'Usage'),
    '  sluice [--dir DIR] [--json] COMMAND [ARGUMENTS] [OPTIONS]',
    '',
    paint('bold', 'Commands'),
    ...columns(commands.map(({ name, summary }) => [name, summary] as const)),
    '',
    paint('bold', 'Options of every command'),
    ...columns(optionLines(GLOBAL_OPTIONS)),
    '',
    paint('bold', 'Exit codes'),
    '  0 success · 1 the run failed or was cancelled · 2 wrong usage, configuration or SQL, missing file',
    '  3 some rows were not delivered · 4 held by the removal guard · 5 something cannot be reached · 130 interrupted',
    '',
    '`sluice COMMAND --help` explains a command, with examples.',
    '',
  ].join('\n')
}

/** What one command does, its arguments and options, and examples. */
export function commandHelp(entry: CommandEntry, command: Command, { color }: HelpOptions): string {
  const paint = painter(color)
  const positionals = command.positionals.map(({ name, required, repeats = false }) => {
    const shown = repeats ? `${name}…` : name
    return required ? shown : `[${shown}]`
  })
  const usage = ['sluice', entry.name, ...positionals, '[OPTIONS]'].join(' ')
  const lines = [
    `${paint('bold', `sluice ${entry.name}`)}: ${entry.summary}`,
    '',
    ...paragraphs(command.description),
    '',
  ]
  lines.push(paint('bold', 'Usage'), `  ${usage}`, '')
  if (command.positionals.length > 0) {
    lines.push(paint('bold', 'Arguments'))
    lines.push(...columns(command.positionals.map(({ name, help }) => [name, help] as const)), '')
  }
  if (Object.keys(command.options).length > 0) {
    lines.push(paint('bold', 'Options'), ...columns(optionLines(command.options)), '')
  }
  lines.push(paint('bold', 'Options of every command'), ...columns(optionLines(GLOBAL_OPTIONS)), '')
  if (command.examples.length > 0) {
    lines.push(paint('bold', 'Examples'))
    lines.push(...columns(command.examples.map(example => [example.command, example.does] as const)), '')
  }
  return lines.join('\n')
}

function optionLines(options: { readonly [name: string]: OptionSpec }): [string, string][] {
  return Object.entries(options).map(([name, spec]) => {
    if (name === 'color') return ['--no-color', spec.help]
    const value = spec.type === 'boolean' ? '' : ` ${spec.value ?? 'TEXT'}`
    return [`--${name}${value}`, spec.help]
  })
}

function columns(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

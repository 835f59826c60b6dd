/** Completes a command line for a shell. It is pure: the caller reads the names. */
import type { Command, CommandEntry, OptionSpec } from '../command.ts'
import { GLOBAL_OPTIONS } from '../parse-command-line.ts'

/** The kinds of names on a command line. */
export type Named = 'SYNC' | 'DESTINATION' | 'ENV'

interface Words {
  /** The words before the word to complete, without `sluice`. */
  readonly before: readonly string[]
  /** The word to complete, as far as it is typed. */
  readonly word: string
}

/**
 * Returns the candidates in their order. If there is none, the shell may offer files. It does not throw for a
 * wrong command line.
 */
export async function completeWords(
  words: readonly string[],
  commands: readonly CommandEntry[],
  namesOf: (what: Named) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const line = { before: words.slice(0, -1), word: words.at(-1) ?? '' }
  const found = await candidates(line, commands, namesOf)
  return [...new Set(found)].filter(candidate => candidate.startsWith(line.word))
}

async function candidates(
  { before, word }: Words,
  commands: readonly CommandEntry[],
  namesOf: (what: Named) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const globals: { readonly [name: string]: OptionSpec } = GLOBAL_OPTIONS
  const plain = positionalsOf(before, globals)
  const entry = commandOf(plain, commands)
  const command = entry === null ? null : await entry.load()
  const options = { ...command?.options, ...globals }
  const value = valueWanted(before, options)
  if (value !== null) return await valuesOf(value.choices ?? null, value.value ?? '', namesOf)
  if (word.startsWith('-')) return optionsOf(options, before)
  const seconds = plain.length === 1 ? secondWords(plain[0] ?? '', commands) : []
  if (entry === null || command === null) return plain.length === 0 ? firstWords(commands) : seconds
  const given = positionalsOf(before, options).length - entry.name.split(' ').length
  const spec = command.positionals[given] ?? lastThatRepeats(command)
  const names = spec === undefined ? [] : await valuesOf(spec.choices ?? null, spec.name, namesOf, commands)
  return [...seconds, ...names]
}

function firstWords(commands: readonly CommandEntry[]): readonly string[] {
  return commands.map(({ name }) => name.split(' ')[0] ?? '')
}

function secondWords(first: string, commands: readonly CommandEntry[]): readonly string[] {
  return commands.flatMap(({ name }) => {
    const [one, two] = name.split(' ')
    return one === first && two !== undefined ? [two] : []
  })
}

function commandOf(plain: readonly string[], commands: readonly CommandEntry[]): CommandEntry | null {
  const [first, second] = plain
  const double = commands.find(({ name }) => second !== undefined && name === `${first ?? ''} ${second}`)
  return double ?? commands.find(({ name }) => name === first) ?? null
}

/** The words that are neither options nor their values. */
function positionalsOf(
  words: readonly string[],
  options: { readonly [name: string]: OptionSpec },
): readonly string[] {
  return words.filter(
    (word, index) => !word.startsWith('-') && valueWanted(words.slice(0, index), options) === null,
  )
}

/** The option whose value comes next; null if none wants one. */
function valueWanted(
  before: readonly string[],
  options: { readonly [name: string]: OptionSpec },
): OptionSpec | null {
  const last = before.at(-1) ?? ''
  if (!last.startsWith('--') || last.includes('=')) return null
  const spec = options[last.slice(2)]
  return spec === undefined || spec.type === 'boolean' ? null : spec
}

function optionsOf(
  options: { readonly [name: string]: OptionSpec },
  before: readonly string[],
): readonly string[] {
  return Object.keys(options)
    .map(name => (name === 'color' ? '--no-color' : `--${name}`))
    .filter(option => !before.includes(option))
}

function lastThatRepeats({ positionals }: Command): Command['positionals'][number] | undefined {
  const last = positionals.at(-1)
  return last?.repeats === true ? last : undefined
}

async function valuesOf(
  choices: readonly string[] | null,
  what: string,
  namesOf: (what: Named) => Promise<readonly string[]>,
  commands: readonly CommandEntry[] = [],
): Promise<readonly string[]> {
  if (choices !== null) return choices
  if (what === 'SYNC' || what === 'DESTINATION' || what === 'ENV') return await namesOf(what)
  return what === 'COMMAND' ? firstWords(commands) : []
}

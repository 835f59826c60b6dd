/** Hints that people copy name the command as it was called, and the folder that was given. */
import { existsSync } from 'node:fs'
import { basename, delimiter, dirname, join, relative, resolve } from 'node:path'
import type { Environment } from '@sluice/runtime/environment'

/** The words with which the command was called. */
export interface Called {
  /** `sluice`, `npx sluice`, or a path. */
  readonly command: string
  /** The value of `--dir`, or null. */
  readonly dir: string | null
  /** The value of `--env`, or null. */
  readonly env?: string | null
}

/**
 * The name of the command as a person types it. Shells put the path of the program into the variable `_`, and
 * npx has variables of its own. Without either it is `sluice`.
 */
export function calledCommand(env: Environment, cwd: string): string {
  if (env['npm_lifecycle_event'] === 'npx')
    return /^['"]?sluice\b/.test(env['npm_lifecycle_script'] ?? '') ? 'npx sluice' : 'sluice'
  const path = env['_'] ?? ''
  if (basename(path) !== 'sluice' || !existsSync(resolve(cwd, path))) return 'sluice'
  const folder = dirname(resolve(cwd, path))
  const searched = (env['PATH'] ?? '').split(delimiter).filter(part => part !== '')
  if (searched.some(part => resolve(cwd, part) === folder)) return 'sluice'
  const below = relative(cwd, join(folder, 'sluice'))
  return below.length < path.length && !below.startsWith('..') ? inShell(below) : inShell(path)
}

/** Commands that name a folder of their own, or need none. */
const WITHOUT_DIR: readonly string[] = ['init', 'help', 'schema', 'version', 'completion', 'service']

/** A command such as `sluice runs`, as one types it here. */
export function asTyped(command: string, called: Called | undefined): string {
  if (called === undefined) return command
  const rest = command.slice('sluice '.length)
  const isAnywhere = WITHOUT_DIR.includes(rest.split(' ')[0] ?? '')
  const dir = called.dir === null || isAnywhere ? [] : ['--dir', inShell(called.dir)]
  const env = typeof called.env !== 'string' || isAnywhere ? [] : ['--env', inShell(called.env)]
  return [called.command, ...dir, ...env, rest].join(' ')
}

/** The text with each command in backticks, such as `sluice runs`, as one types it here. */
export function withTyped(text: string, called: Called | undefined): string {
  return text.replaceAll(
    /`(sluice [a-z][^`\n]*)`/g,
    (_, command: string) => `\`${asTyped(command, called)}\``,
  )
}

/** The word, quoted if a shell would read it as something else. */
export function inShell(word: string): string {
  return /^[\w./@:+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** Reads configuration from environment variables. */
import { readFileSync, statSync } from 'node:fs'
import { type ErrorDetail, messageOf, SluiceError } from '@sluice/contracts/errors'
import { DEFAULT_MEMORY_BYTES, LEAST_MEMORY_BYTES } from '@sluice/domain/memory-budget'
import { z } from 'zod'

export interface Environment {
  readonly [name: string]: string | undefined
}

/**
 * Checks and converts the variables that the schema names. Each of `secrets` may instead be given as a file,
 * in a variable whose name ends with `_FILE`. An empty variable counts as not set. Throws `config` with one
 * detail for each wrong variable, and never shows the value of a secret.
 */
export function parseEnvironment<Schema extends z.ZodObject>(
  schema: Schema,
  env: Environment,
  options: { readonly secrets?: readonly string[] } = {},
): z.output<Schema> {
  const { secrets = [] } = options
  const given = Object.fromEntries(
    Object.keys(schema.shape).map(name => [
      name,
      secrets.includes(name) ? secretOf(env, name) : valueOf(env, name),
    ]),
  )
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map(issue => detailOf(issue, given, secrets))
  throw new SluiceError('config', details.map(({ message }) => message).join('\n'), { details })
}

/** Returns a variable's value; undefined if it is not set or empty. */
export function valueOf(env: Environment, name: string): string | undefined {
  const value = env[name]
  return value === undefined || value === '' ? undefined : value
}

/** The texts of pipes. A pipe gives its text once, and a secret may be needed twice. */
const piped = new Map<string, string>()
/** A larger file is a mistake, and no secret. */
const MAX_FILE_BYTES = 10_000_000

/**
 * Returns the value of a variable, or the text of the file that its `_FILE` names, without the line break at
 * its end. Throws `config`.
 */
export function secretOf(env: Environment, name: string): string | undefined {
  const value = valueOf(env, name)
  const file = valueOf(env, `${name}_FILE`)
  if (file === undefined) return value
  if (value !== undefined)
    throw new SluiceError('config', `${name} and ${name}_FILE are both set: unset one of them.`)
  try {
    return textOfFile(file).replace(/\r?\n$/, '')
  } catch (cause) {
    const why = messageOf(cause)
    throw new SluiceError('config', `${name}_FILE names a file that cannot be read: ${why}`, { cause })
  }
}

function textOfFile(file: string): string {
  const kept = piped.get(file)
  if (kept !== undefined) return kept
  const stats = statSync(file)
  // A device may never end. A pipe ends, and shells hand over secrets in pipes.
  if (stats.isCharacterDevice() || stats.isBlockDevice()) throw new Error(`${file} is a device`)
  if (stats.size > MAX_FILE_BYTES) throw new Error(`${file} is longer than ${MAX_FILE_BYTES} bytes`)
  const text = readFileSync(file, 'utf8')
  if (!stats.isFile()) piped.set(file, text)
  return text
}

function detailOf(issue: z.core.$ZodIssue, given: Environment, secrets: readonly string[]): ErrorDetail {
  const field = String(issue.path[0] ?? '')
  const value = given[field]
  if (value === undefined) {
    // Zod's own message is about types, which mean nothing to operators.
    const wanted = issue.message.startsWith('Invalid input') ? '' : `: ${issue.message}`
    return { field, message: `${field} is not set${wanted}` }
  }
  const found = secrets.includes(field) ? 'its value' : JSON.stringify(value)
  return { field, message: `${field}: ${found} is not right: ${issue.message}` }
}

/** `true` or `false`. */
export const envBoolean = z
  .enum(['true', 'false'], 'expected true or false')
  .transform(text => text === 'true')

/** A TCP port; with 0 the system chooses one. */
export const envPort = z
  .string()
  .regex(/^\d{1,5}$/, 'expected a port from 0 to 65535')
  .transform(Number)
  .refine(port => port <= 65_535, 'expected a port from 0 to 65535')

/** At least one text between commas, none of them empty. */
export const envList = z
  .string()
  .transform(text => text.split(',').map(part => part.trim()))
  .refine(parts => parts.every(part => part !== ''), 'expected texts between commas, none of them empty')

const DEFAULT_LOG_BYTES = 10_000_000_000

const MEMORY_UNITS: { readonly [unit: string]: number } = { KB: 1000, MB: 1_000_000, GB: 1_000_000_000 }
const sizeOf = (text: string): number =>
  Math.round(Number.parseFloat(text) * (MEMORY_UNITS[text.slice(-2)] ?? 1))

const MEMORY_WANTED = `expected a size such as 512MB or 2GB, at least ${LEAST_MEMORY_BYTES / 1_000_000}MB`

/** The memory that a process may use (`SLUICE_MEMORY`), in bytes. */
export const envMemory = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,3})?(KB|MB|GB)$/, MEMORY_WANTED)
  .transform(sizeOf)
  .refine(bytes => bytes >= LEAST_MEMORY_BYTES, MEMORY_WANTED)
  .default(DEFAULT_MEMORY_BYTES)

/** Returns the memory that this process may use, in bytes. Throws `config` if `SLUICE_MEMORY` is wrong. */
export function memoryOf(env: Environment): number {
  return parseEnvironment(z.object({ SLUICE_MEMORY: envMemory }), env).SLUICE_MEMORY
}

/** A size such as 20GB, in bytes. */
export const envSize = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,3})?(KB|MB|GB)$/, 'expected a size such as 500MB or 20GB')
  .transform(sizeOf)
  .refine(bytes => bytes >= 1_000_000, 'expected a size of at least 1MB')

/**
 * Returns the limit in bytes for requests and attempts in the log of a folder. Beyond it, even runs of the
 * last seven days lose theirs. Throws `config` if `SLUICE_LOG_SIZE` is wrong.
 */
export function logSizeOf(env: Environment): number {
  const shape = z.object({ SLUICE_LOG_SIZE: envSize.default(DEFAULT_LOG_BYTES) })
  return parseEnvironment(shape, env).SLUICE_LOG_SIZE
}

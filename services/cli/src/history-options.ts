/** The options that the commands about history share. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import { SluiceError } from '@sluice/contracts/errors'
import { duration } from '@sluice/contracts/specs/plain-values'
import { parseGroup } from '@sluice/domain/answers/failed-group'
import { statusRange } from '@sluice/domain/answers/status-filter'
import {
  numberOption,
  terminalColumns,
  textOption,
  type CommandArgs,
  type CommandContext,
  type OptionSpec,
} from './command.ts'
import type { OutputOptions } from './output/wording.ts'
import type { Paging } from '@sluice/control/port'

export const PAGING_OPTIONS = {
  limit: { type: 'number', value: 'N', min: 1, max: 1000, help: 'at most this many (default 50)' },
  after: { type: 'text', value: 'CURSOR', help: 'go on after an earlier page, with the `next` that it gave' },
} as const satisfies { readonly [name: string]: OptionSpec }

export const LABEL_OPTION: OptionSpec = {
  type: 'text',
  value: 'LABEL',
  help: 'only syncs with this label',
}

/** At most this many rows are read to group their errors. */
export const GROUPED_ROWS = 1_000

export const KEY_OPTION: OptionSpec = {
  type: 'text',
  value: 'KEY',
  mayBeEmpty: true,
  help: 'only this row: its primary key, a composite one as a JSON array',
}
/**
 * The key that `--key` names, or undefined without that option. A key of several columns is a JSON array, in
 * which white space does not count.
 */
export function keyOption(args: CommandArgs): string | undefined {
  const text = textOption(args, 'key')
  return text === undefined ? undefined : keyOf(text)
}

/** The keys that `--key` names, where it may be given several times; undefined without that option. */
export function keyOptions({ repeated }: CommandArgs): string[] | undefined {
  const texts = repeated?.['key'] ?? []
  return texts.length === 0 ? undefined : texts.map(keyOf)
}

function keyOf(text: string): string {
  if (!text.startsWith('[')) return text
  try {
    const parts: unknown = JSON.parse(text)
    return Array.isArray(parts) && parts.length > 1 ? JSON.stringify(parts.map(String)) : text
  } catch {
    return text
  }
}

export const STATUS_OPTION: OptionSpec = {
  type: 'text',
  value: 'CODE',
  help: 'only answers with this HTTP status, or with a status of this class (4xx)',
}

/** The status or class that `--status` names. Throws `usage` for a text that is neither. */
export function statusOption(args: CommandArgs): string | undefined {
  const text = textOption(args, 'status')?.toLowerCase()
  if (text === undefined || statusRange(text) !== null) return text
  throw new SluiceError(
    'usage',
    `\`--status\` wants an HTTP status such as 422, or a class such as 4xx, found \`${text}\`.`,
  )
}

/** Returns `--status` as a number, which is 5 for `5xx`. */
export function statusNumber(args: CommandArgs): number | undefined {
  const text = statusOption(args)
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

export const GROUP_OPTION: OptionSpec = {
  type: 'text',
  value: 'ID',
  help: 'only the rows of this group: rows that failed for one reason, as `sluice failed` lists them',
}

/** The rows of a sync that `--key`, `--status` and `--group` choose. Without these options it chooses all. */
export function failedRows(args: CommandArgs): InputOf<'discard'> {
  const group = textOption(args, 'group')
  if (group !== undefined && parseGroup(group) === null)
    throw new SluiceError(
      'usage',
      `\`--group\` wants the id of a group, as \`sluice failed\` lists it, found \`${group}\`.`,
    )
  return { name: args.positionals[0] ?? '', key: keyOption(args), status: statusNumber(args), group }
}

const DEFAULT_LIMIT = 50
/** The end of the year 9999. */
const MAX_TIME_MS = 253_402_300_799_999

export function pagingOf(args: CommandArgs): Paging {
  return { limit: numberOption(args, 'limit') ?? DEFAULT_LIMIT, after: textOption(args, 'after') }
}

/** The terminal's width and colours. */
export function outputOptions({ color, called, stdout }: CommandContext): OutputOptions {
  return { color, called, columns: terminalColumns(stdout) }
}

/**
 * Returns the time that an option names, in ISO 8601; undefined without the option. People write how long ago
 * it was (`2h`), or a date and time. Throws `usage` for other texts.
 */
export function timeOption(args: CommandArgs, name: string, now: number): string | undefined {
  const text = textOption(args, name)
  if (text === undefined) return undefined
  const at = parseTime(name, text, now)
  // Nothing was recorded before 1970.
  return new Date(Math.min(Math.max(at, 0), MAX_TIME_MS)).toISOString()
}

function parseTime(name: string, text: string, now: number): number {
  const ago = duration.safeParse(text)
  if (ago.success) return now - ago.data
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new SluiceError(
    'usage',
    `\`--${name}\` wants how long ago (30s, 15m, 2h, 7d) or a time such as 2026-03-01T14:00:00Z, found \`${text}\`.`,
  )
}

/** `sluice row`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { RowLife } from '@sluice/contracts/views/history-views'
import type { Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { KEY_OPTION, keyOption, outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { painter, safe, shownKey, type Paint } from '../output/paint.ts'
import { clockTime, paintOutcome, type OutputOptions } from '../output/wording.ts'

export const command: Command = {
  description:
    'Shows all that happened to one row: its changes with the row before and after, its requests, what was captured, whether it waits for a retry or is muted, and what the destination is believed to hold.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync that the row belongs to' }],
  options: { key: { ...KEY_OPTION, help: 'the primary key of the row, a composite one as a JSON array' } },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice row customers --key 42', does: 'why the API has what it has' },
    { command: `sluice row visits --key '["eu", 7]'`, does: 'a key of several columns' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const name = args.positionals[0] ?? ''
    const key = keyOption(args)
    if (key === undefined)
      throw new SluiceError('usage', '`sluice row` wants `--key KEY`: the primary key of the row.')
    await using control = await openControl(context)
    const life = await control.call('getRow', { name, key }, { signal })
    stdout.write(json ? `${JSON.stringify(life)}\n` : rowText(life, outputOptions(context)))
    return EXIT.success
  },
}

const SAID: { readonly [is in NonNullable<RowLife['state']>['is']]: string } = {
  absent: 'the destination does not have it',
  present: 'delivered',
  'content-uncertain': 'delivered, but perhaps with other content: the next run sends it again',
  'existence-uncertain': 'uncertain: the destination may have it, and the next run sends it again',
  'under-way': 'a request with it is under way',
}

export function rowText(life: RowLife, options: OutputOptions): string {
  const paint = painter(options.color)
  const { sync, key, state, muted, retry, captured, changes, attempts, more } = life
  const at = (time: string): string => clockTime(time, options.timeZone)
  const lines = [paint('bold', `${safe(sync)} · ${shownKey(key)}`)]
  if (state === null) lines.push('no change of it is kept any more')
  else {
    lines.push(`${SAID[state.is]}, since ${at(state.since)}`)
    if (state.row !== null) lines.push(`  ${rowOf(state.row)}`)
  }
  if (retry !== null)
    lines.push(
      `waits for a retry: ${retry.outcome}${statusOf(retry.status)}, ${retry.attempts} attempts in ${retry.runs} runs since ${at(retry.since)}`,
      ...(retry.error === null ? [] : [paint('red', `  ${safe(retry.error)}`)]),
    )
  if (muted) lines.push('muted: runs skip it until its row or its trigger differs, or until a resync')
  if (captured !== null) lines.push(`captured ${rowOf(captured)}`)
  lines.push('', paint('bold', 'changes'))
  for (const change of changes) lines.push(...changeLines(change, at, paint))
  if (changes.length === 0) lines.push(paint('dim', '  none is kept'))
  lines.push('', paint('bold', 'requests'))
  for (const { startedAt, method, url, status, outcome, error, requestId } of attempts)
    lines.push(
      `  ${at(startedAt)}  ${paintOutcome(outcome, outcome, paint)}${statusOf(status)}  ${safe(`${method} ${url}`)}  ${paint('dim', safe(requestId))}`,
      ...(error === null ? [] : [paint('red', `    ${safe(error)}`)]),
    )
  if (attempts.length === 0) lines.push(paint('dim', '  none is kept'))
  if (more) lines.push(paint('dim', 'there is more: `sluice attempts --key` pages through the requests'))
  return `${lines.join('\n')}\n`
}

function changeLines(
  { at, op, run, runNumber, before, after, settledState, muted, failed, source }: RowLife['changes'][number],
  timeOf: (time: string) => string,
  paint: Paint,
): readonly string[] {
  const what = op === 'settled' ? `settled as ${settledState ?? 'absent'}${muted ? ', muted' : ''}` : op
  const which = run === null ? `run number ${runNumber}` : `run ${run}`
  const became = failed === null ? '' : `  ${failed.outcome}${statusOf(failed.status)}`
  return [
    `  ${timeOf(at)}  ${what}${became}  ${paint('dim', safe(which))}`,
    ...(source === undefined ? [] : [paint('dim', `    ${originOf(source, timeOf)}`)]),
    ...(before === null ? [] : [paint('red', `    - ${rowOf(before)}`)]),
    ...(after === null ? [] : [paint('green', `    + ${rowOf(after)}`)]),
  ]
}

/** For example `committed 2026-03-01 14:05:09 at position 0000000001ab34`. */
function originOf(
  { committedAt, position }: NonNullable<RowLife['changes'][number]['source']>,
  timeOf: (time: string) => string,
): string {
  const committed = committedAt === null ? '' : `committed ${timeOf(committedAt)} `
  return `${committed}at position ${safe(position)}`
}

function rowOf(row: object): string {
  return safe(JSON.stringify(row))
}

function statusOf(status: number | null): string {
  return status === null ? '' : ` ${status}`
}

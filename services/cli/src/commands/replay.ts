/** `sluice replay`. */
import { keysText } from '../output/preview-text.ts'
import { attemptOutcome, type ReplayView } from '@sluice/contracts/api'
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import { SluiceError } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import type { Control } from '@sluice/control/port'
import { askAndShow } from '../ask-and-show.ts'
import { confirmed } from '../ask-person.ts'
import { booleanOption, textOption, type Command, type CommandContext } from '../command.ts'
import { EXIT, EXITS_OF_RUNS } from '../exit-codes.ts'
import {
  KEY_OPTION,
  STATUS_OPTION,
  keyOptions,
  outputOptions,
  statusNumber,
  timeOption,
} from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { painter, safe } from '../output/paint.ts'
import { table } from '../output/table.ts'
import { counted, number, type OutputOptions } from '../output/wording.ts'

export const command: Command = {
  description:
    'Sends recorded requests again, each as it was: same method, path, headers and body, with a new idempotency key, to the destination as it is now. Use it after the API has lost what it had taken.\n' +
    'It wants `--key`, `--run` or `--since`, and sends the requests of the attempts that fit all options. `sluice attempts` with the same options lists these attempts. It first shows what it would send, and asks.\n' +
    'The rows of these requests count as uncertain from then on, whatever the API answers. So the next run sends each of them as it is then, and removes those that have left the model. Requests are recorded for 7 days after their run.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose requests are sent again' }],
  options: {
    key: { ...KEY_OPTION, repeats: true, help: `${KEY_OPTION.help}; may be given several times` },
    run: { type: 'text', value: 'RUN', help: 'only requests that this run sent' },
    since: { type: 'text', value: 'TIME', help: 'only attempts from then on: how long ago (2h), or a time' },
    until: { type: 'text', value: 'TIME', help: 'only attempts before then' },
    status: STATUS_OPTION,
    outcome: {
      type: 'text',
      value: 'OUTCOME',
      choices: attemptOutcome.options,
      help: 'only attempts with this outcome',
    },
    trigger: { type: 'text', value: 'TRIGGER', choices: OPS, help: 'only requests of this trigger' },
    'dry-run': { type: 'boolean', help: 'show what would be sent, and send nothing' },
    yes: { type: 'boolean', help: 'send without a question; wanted with --json and in scripts' },
  },
  exits: { ...EXITS_OF_RUNS, 0: 'every row was delivered, or none was to be sent' },
  examples: [
    {
      command: 'sluice replay customers --since 2h --dry-run',
      does: 'show what was sent in the last 2 hours',
    },
    { command: 'sluice replay customers --key 42 --key 43', does: 'all requests with one of two rows' },
    { command: 'sluice replay customers --run 01JD3… --outcome unknown --yes', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdin, signal } = context
    const asked = replayInput(context)
    const isDry = booleanOption(args, 'dry-run')
    const isSure = booleanOption(args, 'yes')
    if (!isDry && !isSure && (json || stdin.isTTY !== true))
      throw new SluiceError(
        'usage',
        '`sluice replay` asks before it sends requests again, and nobody can answer here: `--yes` sends them without a question, and `--dry-run` shows them.',
      )
    if (isDry || !isSure) {
      const isWanted = await showReplay(context, { asked, isDry }, signal)
      if (!isWanted) return EXIT.success
    }
    return await askAndShow(context, (control, following) => control.ask('replay', asked, following))
  },
}

/** Shows the requests that a replay would send, and asks. True if the person agrees. */
async function showReplay(
  context: CommandContext,
  { asked, isDry }: { readonly asked: Replayed; readonly isDry: boolean },
  signal: AbortSignal,
): Promise<boolean> {
  const { json, stdout } = context
  await using control: Control = await openControl(context)
  const view = await control.call('dryRunReplay', { ...asked, dryRun: true }, { signal })
  stdout.write(json ? `${JSON.stringify(view)}\n` : replayText(view, outputOptions(context)))
  if (isDry || view.requests === 0) return false
  if (await confirmed('\nSend them again?', context)) return true
  stdout.write('Nothing was sent.\n')
  return false
}

type Replayed = Omit<InputOf<'replay'>, 'dryRun'>

function replayInput({ args }: CommandContext): Replayed {
  const now = Date.now()
  const trigger = textOption(args, 'trigger')
  const outcome = textOption(args, 'outcome')
  const asked = {
    name: args.positionals[0] ?? '',
    keys: keyOptions(args),
    run: textOption(args, 'run'),
    since: timeOption(args, 'since', now),
    until: timeOption(args, 'until', now),
    status: statusNumber(args),
    outcome: attemptOutcome.options.find(each => each === outcome),
    trigger: OPS.find(op => op === trigger),
  }
  if (asked.keys === undefined && asked.run === undefined && asked.since === undefined)
    throw new SluiceError(
      'usage',
      '`sluice replay` wants to know which requests: `--key KEY`, `--run RUN` or `--since TIME`. `sluice replay --help` explains them.',
    )
  if (asked.since !== undefined && asked.until !== undefined && asked.until <= asked.since)
    throw new SluiceError('usage', '`--until` is not later than `--since`: no attempt lies between them.')
  return asked
}

function replayText(view: ReplayView, options: OutputOptions): string {
  const paint = painter(options.color)
  const { sync, requests, rows, first, notRecorded } = view
  const lines: string[] = []
  if (requests === 0)
    lines.push(
      `No recorded request of \`${sync}\` matches. \`sluice attempts --sync ${sync}\` lists its attempts.`,
    )
  else {
    lines.push(`${counted(requests, 'recorded request')} of \`${sync}\`, with ${counted(rows, 'row')}:`, '')
    const perTrigger = OPS.flatMap(op => {
      const counts = view.triggers[op]
      return counts === undefined ? [] : [[op, number(counts.requests), number(counts.rows)]]
    })
    const width = options.columns
    const count = { align: 'right' } as const
    const columns = [{ title: 'trigger' }, { title: 'requests', ...count }, { title: 'rows', ...count }]
    lines.push(...table(columns, perTrigger, { width, paint }), '')
    lines.push(
      first.length < requests
        ? `The first ${number(first.length)}, in the order of sending:`
        : 'In this order:',
    )
    const shown = first.map(({ trigger, method, path, keys }) => [
      trigger,
      method,
      safe(path),
      keysText(keys),
    ])
    lines.push(
      ...table(
        [
          { title: 'trigger' },
          { title: 'method' },
          { title: 'path', shrinks: true },
          { title: 'keys', shrinks: true, drops: true },
        ],
        shown,
        { width, paint },
      ),
    )
  }
  if (notRecorded.requests > 0)
    lines.push(
      '',
      `Not recorded any more, so not sent again: ${counted(notRecorded.requests, 'request')} of ${counted(notRecorded.runs, 'run')}.`,
    )
  for (const notice of view.notices) lines.push(paint('dim', `note: ${safe(notice)}`))
  return `${lines.join('\n')}\n`
}

/** `sluice send`. */
import type { AttemptView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { Control, Previewed } from '@sluice/control/port'
import { booleanOption, textOption, type Command, type CommandContext } from '../command.ts'
import { EXIT, type ExitCode, EXITS_OF_ASKING } from '../exit-codes.ts'
import { keyOption, outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { attemptDetails } from './attempts.ts'
import { painter } from '../output/paint.ts'
import { previewItem } from '../output/preview-text.ts'
import { confirmed } from '../ask-person.ts'

export const command: Command = {
  description:
    'Sends one real request to try a sync out: the request for one row as it is now, even if it has not changed. It shows the request, asks, sends it, and shows the answer.\n' +
    'It goes to the real destination, within its limits. It changes no state: no run counts it, no row is tried again for it, and the next run sends what it would have sent anyway. `sluice attempts` shows it as a test.\n' +
    'If the API does not take it, the exit code is 3.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose destination gets the request' }],
  options: {
    key: {
      type: 'text',
      value: 'KEY',
      mayBeEmpty: true,
      help: 'the row: its primary key, a composite one as a JSON array',
    },
    trigger: {
      type: 'text',
      value: 'TRIGGER',
      choices: OPS,
      help: 'the request to send: for an added, a changed or a removed row',
    },
    yes: { type: 'boolean', help: 'send it without a question; wanted with --json and in scripts' },
  },
  exits: {
    0: 'the API took it, or you answered no',
    3: 'the API did not take it, or it was not sent',
    ...EXITS_OF_ASKING,
  },
  examples: [
    { command: 'sluice send customers --key 42 --trigger added', does: 'show the request, ask, and send it' },
    { command: 'sluice send customers --key 42 --trigger removed --yes --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, stdin, signal } = context
    const query = queryOf(context)
    const isSure = booleanOption(args, 'yes')
    if (!isSure && (json || stdin.isTTY !== true))
      throw new SluiceError(
        'usage',
        '`sluice send` asks before it sends a real request, and nobody can answer here: `--yes` sends it without a question.',
      )
    await using control = await openControl(context)
    const options = outputOptions(context)
    if (!json) {
      stdout.write(previewItem(await shownRequest(control, query, signal), options).trimStart())
      if (!isSure && !(await confirmed('\nSend this request?', context))) {
        stdout.write('Nothing was sent.\n')
        return EXIT.success
      }
    }
    const attempt = await control.call('sendTest', query, { signal })
    if (json) stdout.write(`${JSON.stringify(attempt)}\n`)
    else stdout.write(`\n${attemptDetails(attempt, options, painter(options.color)).join('\n')}\n`)
    return exitCodeOf(attempt)
  },
}

function queryOf({ args }: CommandContext): InputOf<'sendTest'> {
  const named = textOption(args, 'trigger')
  const trigger = OPS.find(candidate => candidate === named)
  const key = keyOption(args)
  if (key !== undefined && trigger !== undefined) return { name: args.positionals[0] ?? '', key, trigger }
  const missing =
    key === undefined ? '`--key KEY`: the row' : '`--trigger TRIGGER`: added, changed or removed'
  throw new SluiceError('usage', `\`sluice send\` wants ${missing}. \`sluice send --help\` explains it.`)
}

/** Returns the request that would be sent. Throws as sending it would. */
async function shownRequest(
  control: Control,
  { name: sync, trigger, key }: InputOf<'sendTest'>,
  signal: AbortSignal,
): Promise<Previewed> {
  await using preview = await control.preview('preview', { sync, trigger, key, rows: 1 }, { signal })
  for await (const request of preview.requests) {
    if (request.kind === 'request') return request
    throw new SluiceError('usage', `The row cannot become a request: ${request.error}`)
  }
  throw new SluiceError('not-found', `The model of \`${sync}\` has no row with key \`${key}\`.`)
}

function exitCodeOf({ outcome }: AttemptView): ExitCode {
  return outcome === 'delivered' ? EXIT.success : EXIT.warning
}

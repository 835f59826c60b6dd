/** `sluice attempts`. */
import { attemptOutcome } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import { OPS } from '@sluice/contracts/state'
import { booleanOption, textOption } from '../../command.ts'
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import {
  KEY_OPTION,
  keyOption,
  outputOptions,
  PAGING_OPTIONS,
  pagingOf,
  STATUS_OPTION,
  statusOption,
  timeOption,
} from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { attemptsText } from '../../output/past/attempts-text.ts'

export const command: Command = {
  description:
    'Shows requests as they were sent and answers as they came back, the newest first. Secrets are masked, and long answers are cut.',
  positionals: [],
  options: {
    run: { type: 'text', value: 'RUN', help: 'only attempts of one run' },
    sync: { type: 'text', value: 'SYNC', help: 'only attempts of one sync' },
    key: KEY_OPTION,
    trigger: { type: 'text', value: 'TRIGGER', choices: [...OPS], help: 'only attempts of this trigger' },
    status: STATUS_OPTION,
    outcome: {
      type: 'text',
      value: 'OUTCOME',
      choices: attemptOutcome.options,
      help: `only with this outcome: ${attemptOutcome.options.join(', ')}`,
    },
    since: { type: 'text', value: 'TIME', help: 'only newer attempts: how long ago (2h), or a time' },
    until: { type: 'text', value: 'TIME', help: 'only older attempts: how long ago, or a time' },
    search: { type: 'text', value: 'TEXT', help: 'only with this text in the error, in whatever case' },
    bodies: { type: 'boolean', help: 'with `--search`: looks in bodies, too, as far as they are held' },
    details: { type: 'boolean', help: 'with headers and bodies' },
    ...PAGING_OPTIONS,
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice attempts --sync customers --key 42', does: 'all requests for one row' },
    {
      command: 'sluice attempts --status 422 --details',
      does: 'the requests that the API refused, with its answers',
    },
    {
      command: 'sluice attempts --status 4xx --search "email" --since 2d --until 1d',
      does: 'what the API said of e-mails the day before',
    },
    { command: 'sluice attempts --since 15m --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const now = Date.now()
    const search = textOption(args, 'search')
    if (booleanOption(args, 'bodies') && search === undefined)
      throw new SluiceError('usage', '`--bodies` says where to look: add `--search TEXT`.')
    const details = booleanOption(args, 'details')
    const query = {
      run: textOption(args, 'run'),
      sync: textOption(args, 'sync'),
      key: keyOption(args),
      trigger: OPS.find(op => op === textOption(args, 'trigger')),
      status: statusOption(args),
      outcome: attemptOutcome.options.find(outcome => outcome === textOption(args, 'outcome')),
      since: timeOption(args, 'since', now),
      until: timeOption(args, 'until', now),
      q: search,
      bodies: booleanOption(args, 'bodies') ? true : undefined,
    }
    await using control = await openControl(context)
    const page = await control.call(
      'listAttempts',
      { ...query, details: details || json, ...pagingOf(args) },
      { signal },
    )
    const filtered = Object.values(query).some(value => value !== undefined)
    const options = { ...outputOptions(context), details, filtered }
    stdout.write(json ? `${JSON.stringify(page)}\n` : attemptsText(page, options))
    return EXIT.success
  },
}

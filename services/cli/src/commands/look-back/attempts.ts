/** `sluice attempts`. */
import { booleanOption, numberOption, textOption } from '../../command.ts'
import type { Command } from '../../command.ts'
import { EXIT } from '../../exit-codes.ts'
import {
  KEY_OPTION,
  keyOption,
  outputOptions,
  PAGING_OPTIONS,
  pagingOf,
  parseSince,
  STATUS_OPTION,
} from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { attemptsText } from '../../output/attempts-text.ts'

export const command: Command = {
  description:
    'Shows requests as they were sent and answers as they came back, the newest first. Secrets are masked, and long answers are cut.',
  positionals: [],
  options: {
    run: { type: 'text', value: 'RUN', help: 'only attempts of one run' },
    sync: { type: 'text', value: 'SYNC', help: 'only attempts of one sync' },
    key: KEY_OPTION,
    status: STATUS_OPTION,
    since: { type: 'text', value: 'TIME', help: 'only newer attempts: how long ago (2h), or a time' },
    details: { type: 'boolean', help: 'with headers and bodies' },
    ...PAGING_OPTIONS,
  },
  examples: [
    { command: 'sluice attempts --sync customers --key 42', does: 'all requests for one row' },
    {
      command: 'sluice attempts --status 422 --details',
      does: 'the requests that the API refused, with its answers',
    },
    { command: 'sluice attempts --since 15m --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const since = textOption(args, 'since')
    const query = {
      run: textOption(args, 'run'),
      sync: textOption(args, 'sync'),
      key: keyOption(args),
      status: numberOption(args, 'status'),
      since: since === undefined ? undefined : parseSince(since, Date.now()),
    }
    await using control = await openControl(context)
    const page = await control.attempts({ ...query, ...pagingOf(args) }, signal)
    const filtered = Object.values(query).some(value => value !== undefined)
    const options = { ...outputOptions(context), details: booleanOption(args, 'details'), filtered }
    stdout.write(json ? `${JSON.stringify(page)}\n` : attemptsText(page, options))
    return EXIT.success
  },
}

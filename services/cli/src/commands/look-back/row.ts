/** `sluice row`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { KEY_OPTION, keyOption, outputOptions } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { rowText } from '../../output/past/row-text.ts'

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

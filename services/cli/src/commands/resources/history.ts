/** `sluice history`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { outputOptions } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { versionsText } from './changes-text.ts'
import { RESOURCE, resourceOf } from './resource-name.ts'

export const command: Command = {
  description:
    'Lists the versions of a stored resource, the newest first: when it was changed, by whom, and which fields. The last 50 versions are kept.',
  positionals: [RESOURCE],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice history sync/customers', does: 'who changed the sync, and what' },
    { command: 'sluice history model/customers --json', does: 'with the fields of each version' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    await using control = await openControl(context)
    const view = await control.call('getResourceHistory', resourceOf(args), { signal })
    stdout.write(json ? `${JSON.stringify(view)}\n` : versionsText(view, outputOptions(context)))
    return EXIT.success
  },
}

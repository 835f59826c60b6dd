/** `sluice syncs`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { outputOptions, PAGING_OPTIONS, pagingOf } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { showEnvironment } from '../../output/notice.ts'
import { syncsText } from '../../output/syncs-table.ts'

export const command: Command = {
  description:
    'Lists the syncs: how each is, its last and its next run, what it waits for, and how many rows wait for a retry. Schedules start runs while `sluice up` or the services are at work.',
  positionals: [],
  options: PAGING_OPTIONS,
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice syncs', does: 'all syncs' },
    { command: 'sluice syncs --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    await using control = await openControl(context)
    const page = await control.call('listSyncs', pagingOf(args), { signal })
    const options = { ...outputOptions(context), now: Date.now() }
    showEnvironment(context)
    stdout.write(json ? `${JSON.stringify(page)}\n` : syncsText(page, options))
    return EXIT.success
  },
}

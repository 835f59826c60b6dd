/** `sluice runs`. */
import { runCause, runStatus } from '@sluice/contracts/api'
import { textOption } from '../../command.ts'
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { outputOptions, PAGING_OPTIONS, pagingOf, timeOption } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { runsText } from '../../output/past/runs-table.ts'

export const command: Command = {
  description: 'Lists the runs so far, the newest first, with what they read and delivered.',
  positionals: [{ name: 'SYNC', required: false, help: 'only the runs of this sync' }],
  options: {
    status: { type: 'text', value: 'STATUS', choices: runStatus.options, help: 'only runs in this status' },
    cause: { type: 'text', value: 'CAUSE', choices: runCause.options, help: 'only runs with this cause' },
    since: { type: 'text', value: 'TIME', help: 'only runs asked for since: how long ago (2h), or a time' },
    until: { type: 'text', value: 'TIME', help: 'only runs asked for before: how long ago, or a time' },
    ...PAGING_OPTIONS,
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice runs', does: 'the last 50 runs' },
    { command: 'sluice runs customers --limit 5', does: 'the last five of one sync' },
    { command: 'sluice runs --status failed --since 7d', does: 'what failed this week' },
    { command: 'sluice runs --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const sync = args.positionals[0]
    const now = Date.now()
    const query = {
      sync,
      status: runStatus.options.find(status => status === textOption(args, 'status')),
      cause: runCause.options.find(cause => cause === textOption(args, 'cause')),
      since: timeOption(args, 'since', now),
      until: timeOption(args, 'until', now),
    }
    await using control = await openControl(context)
    const filtered = Object.entries(query).some(([name, value]) => name !== 'sync' && value !== undefined)
    const page = await control.call('listRuns', { ...query, ...pagingOf(args) }, { signal })
    const text = json
      ? `${JSON.stringify(page)}\n`
      : runsText(page, { ...outputOptions(context), sync, filtered, now })
    stdout.write(text)
    return EXIT.success
  },
}

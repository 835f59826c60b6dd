/** `sluice runs`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { outputOptions, PAGING_OPTIONS, pagingOf } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { runsText } from '../../output/runs-table.ts'

export const command: Command = {
  description: 'Lists the runs so far, the newest first, with what they read and delivered.',
  positionals: [{ name: 'SYNC', required: false, help: 'only the runs of this sync' }],
  options: PAGING_OPTIONS,
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice runs', does: 'the last 50 runs' },
    { command: 'sluice runs customers --limit 5', does: 'the last five of one sync' },
    { command: 'sluice runs --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const sync = args.positionals[0]
    await using control = await openControl(context)
    const page = await control.runs({ sync, ...pagingOf(args) }, signal)
    const text = json
      ? `${JSON.stringify(page)}\n`
      : runsText(page, { ...outputOptions(context), sync, now: Date.now() })
    stdout.write(text)
    return EXIT.success
  },
}

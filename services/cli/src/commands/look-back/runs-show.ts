/** `sluice runs show`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { GROUPED_ROWS, outputOptions } from '../../history-options.ts'
import { openControl } from '../../open-control.ts'
import { runDetails } from '../../output/run-summary.ts'

const SHOWN_FAILED_ROWS = 20

export const command: Command = {
  description: 'Shows one run: its state, figures per trigger, and the rows that it did not deliver.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice runs show 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'one run' }],
  async run(context) {
    const { args, json, stdout, signal } = context
    const id = args.positionals[0] ?? ''
    await using control = await openControl(context)
    const run = await control.call('getRun', { id }, { signal })
    if (json) {
      stdout.write(`${JSON.stringify(run)}\n`)
      return EXIT.success
    }
    const query = { name: run.sync, run: id, limit: GROUPED_ROWS }
    const failed = await control.call('listFailedRows', query, { signal })
    const shown = failed.rows.slice(0, SHOWN_FAILED_ROWS)
    const moreFailed = failed.next !== null || failed.rows.length > shown.length
    // A later run may have tried them since, so only rows that still wait are told of.
    const waiting = failed.rows.length === 0 ? null : failed
    stdout.write(runDetails(run, shown, { ...outputOptions(context), now: Date.now(), waiting, moreFailed }))
    return EXIT.success
  },
}

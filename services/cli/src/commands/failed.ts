/** `sluice failed`. */
import type { Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import {
  KEY_OPTION,
  failedRows,
  GROUPED_ROWS,
  outputOptions,
  PAGING_OPTIONS,
  pagingOf,
  STATUS_OPTION,
} from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { failedText } from '../output/failed-table.ts'

export const command: Command = {
  description:
    'Lists the rows of a sync that were not delivered, each with the reason, and says whether the next run tries them again.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to look at' }],
  options: { key: KEY_OPTION, status: STATUS_OPTION, ...PAGING_OPTIONS },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice failed customers', does: 'all rows that wait for a retry' },
    { command: 'sluice failed customers --status 422', does: 'the rows that the API called wrong' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const query = failedRows(args)
    await using control = await openControl(context)
    const paging = pagingOf(args)
    const page = await control.call('listFailedRows', { ...query, ...paging }, { signal })
    const filtered = [query.key, query.status, paging.after].some(value => value !== undefined)
    if (json) {
      stdout.write(`${JSON.stringify(page)}\n`)
      return EXIT.success
    }
    const all = { ...query, limit: GROUPED_ROWS }
    const grouped =
      page.next === null ? {} : { grouped: await control.call('listFailedRows', all, { signal }) }
    stdout.write(failedText(page, { ...outputOptions(context), sync: query.name, filtered, ...grouped }))
    return EXIT.success
  },
}

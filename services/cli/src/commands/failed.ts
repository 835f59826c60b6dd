/** `sluice failed`. */
import { SluiceError } from '@sluice/contracts/errors'
import { failedParts } from '@sluice/control/history/export-failed-rows'
import { textOption, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import {
  GROUP_OPTION,
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
import { writePart } from '../output/write-part.ts'

export const command: Command = {
  description:
    'Lists the rows of a sync that were not delivered, each with the reason, and says whether the next run tries them again.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to look at' }],
  options: {
    ...{ key: KEY_OPTION, status: STATUS_OPTION, group: GROUP_OPTION },
    run: { type: 'text', value: 'RUN', help: 'only rows that this run tried last' },
    export: {
      type: 'text',
      value: 'FORMAT',
      choices: ['csv', 'json'],
      help: 'writes all matching rows to stdout with their columns: csv or json',
    },
    ...PAGING_OPTIONS,
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice failed customers', does: 'all rows that wait for a retry' },
    { command: 'sluice failed customers --status 422', does: 'the rows that the API called wrong' },
    {
      command: 'sluice failed customers --export csv > failed.csv',
      does: 'all rows with their columns, for a spreadsheet',
    },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const query = { ...failedRows(args), run: textOption(args, 'run') }
    await using control = await openControl(context)
    const format = textOption(args, 'export')
    if (format === 'csv' && json)
      throw new SluiceError('usage', '`--json` and `--export csv` are two forms: leave out one of them.')
    if (format === 'csv' || format === 'json') {
      for await (const part of failedParts(control, { ...query, format }, signal))
        await writePart(stdout, part)
      return EXIT.success
    }
    const paging = pagingOf(args)
    const page = await control.call('listFailedRows', { ...query, ...paging }, { signal })
    const { key, status, group, run } = query
    const filtered = [key, status, group, run, paging.after].some(value => value !== undefined)
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

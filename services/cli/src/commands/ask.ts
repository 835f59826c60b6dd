/**
 * The commands that ask for one run, and show nothing before they ask. Each shows the progress and the result
 * of the run.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { askAndShow } from '../ask-and-show.ts'
import { booleanOption, textOption, type Command } from '../command.ts'
import { EXITS_OF_ASKING, EXITS_OF_RUNS } from '../exit-codes.ts'
import { GROUP_OPTION, KEY_OPTION, STATUS_OPTION, failedRows } from '../history-options.ts'

export const approveCommand: Command = {
  description:
    'Lets a held run go on. The removal guard holds a run that would remove more rows than the sync allows, or whose model has become empty. `sluice runs show RUN` says how many, and names some of them.\n' +
    'The run reads the model again before it sends anything. If it would then remove more rows than you were shown, it is held again.\n' +
    'A run is held, too, if its destination changed: another origin or base path in `baseUrl`, or another account in a header. What was delivered is at the old one. Say which it is: `--same-destination` goes on with it, and `--new-destination` forgets it and sends every row.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the held run, as `sluice runs` lists it' }],
  options: {
    'same-destination': {
      type: 'boolean',
      help: 'the same API at another address: go on with what was delivered',
    },
    'new-destination': {
      type: 'boolean',
      help: 'another API: forget what was delivered and the runs of the sync, as `sluice reset` does, and send every row',
    },
  },
  exits: EXITS_OF_RUNS,
  examples: [
    {
      command: 'sluice approve 01JDZ8M6W3V5T8Q9YB4K2N7R1C',
      does: 'detects again, and removes at most as many rows as you were shown',
    },
    {
      command: 'sluice approve 01JDZ8M6W3V5T8Q9YB4K2N7R1C --same-destination',
      does: 'the API has moved, and has all that was delivered',
    },
  ],
  run: context => {
    const { args } = context
    const isSame = booleanOption(args, 'same-destination')
    const isNew = booleanOption(args, 'new-destination')
    if (isSame && isNew)
      throw new SluiceError(
        'usage',
        'A destination is either the same or a new one: leave out `--same-destination` or `--new-destination`.',
      )
    const destination = isSame ? 'same' : isNew ? 'new' : undefined
    return askAndShow(context, (control, following) =>
      control.ask('approve', { id: args.positionals[0] ?? '', destination }, following),
    )
  },
}

export const cancelCommand: Command = {
  description:
    'Ends a run that is queued, held or at work. Sluice waits for requests on their way. The rest becomes `unsent`, and the next run sends it. The next run of a stream begins at once: to stop a stream, pause its sync.',
  positionals: [{ name: 'RUN', required: true, help: 'the id of the run, as `sluice runs` lists it' }],
  options: {},
  exits: {
    ...EXITS_OF_RUNS,
    0: 'the run was cancelled, or every row had been delivered',
    1: 'the run failed',
  },
  examples: [
    { command: 'sluice cancel 01JDZ8M6W3V5T8Q9YB4K2N7R1C', does: 'ends the run and shows its counts' },
  ],
  run: context => {
    const [id = ''] = context.args.positionals
    return askAndShow(context, (control, following) => control.ask('cancel', { id }, following), {
      wants: 'cancelled',
    })
  },
}

export const retryCommand: Command = {
  description:
    'Retries rows that were not delivered. Without options it is an ordinary run, like `sluice run`: it sends these rows as they are now, and all other rows that have changed. For a row that no longer differs from what was delivered, it sends nothing.\n' +
    'With `--key`, `--status` or `--group` it sends only the waiting rows that fit, and leaves the other rows to the next run. With `--key` and another option it sends the rows that fit both. `sluice failed SYNC` lists the rows that wait.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are retried' }],
  options: { key: KEY_OPTION, status: STATUS_OPTION, group: GROUP_OPTION },
  exits: EXITS_OF_RUNS,
  examples: [
    { command: 'sluice retry customers', does: 'retries all rows that wait, with progress and a summary' },
    { command: 'sluice retry customers --key 5', does: 'retries one row' },
  ],
  run: context =>
    askAndShow(context, (control, following) => control.ask('retry', failedRows(context.args), following)),
}

export const discardCommand: Command = {
  description:
    'Discards rows that were not delivered. They are not sent again until they change, or until `sluice resync`. Nothing is sent, and nothing is taken back at the API. `sluice failed SYNC` lists the rows that wait.\n' +
    'Without options it discards all rows that wait. With `--key` and another option it discards the rows that fit both.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are discarded' }],
  options: { key: KEY_OPTION, status: STATUS_OPTION, group: GROUP_OPTION },
  exits: { ...EXITS_OF_RUNS, 0: 'the rows are discarded', 3: 'a row is invalid' },
  examples: [
    { command: 'sluice discard customers --status 422', does: 'discards the rows that the API called wrong' },
    { command: 'sluice discard customers --key 5', does: 'discards one row' },
  ],
  run: context =>
    askAndShow(context, (control, following) => control.ask('discard', failedRows(context.args), following)),
}

export const resyncCommand: Command = {
  description:
    'Sends every row of the model again, even if nothing changed. Use it after somebody has changed rows at the API, or after you have added a column to the templates. Rows that were given up or discarded are sent, too. Rows that have left the model are removed as usual.\n' +
    'By default each row is sent as `added`, as if the API might not have it. With `--as changed`, rows that were delivered are sent as `changed`.\n' +
    'It is one run. The next run sends what this one does not deliver.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync whose rows are sent again' }],
  options: {
    as: {
      type: 'text',
      value: 'TRIGGER',
      choices: ['added', 'changed'],
      help: 'the trigger that sends the rows: added (default) or changed',
    },
  },
  exits: EXITS_OF_RUNS,
  examples: [
    { command: 'sluice resync customers', does: 'sends all rows as added' },
    { command: 'sluice resync customers --as changed', does: 'sends all rows as changed' },
  ],
  run: context => {
    const as = textOption(context.args, 'as') === 'changed' ? 'changed' : 'added'
    const name = context.args.positionals[0] ?? ''
    return askAndShow(context, (control, following) => control.ask('resync', { name, as }, following))
  },
}

export const resetCommand: Command = {
  description:
    'Forgets what was delivered, with the runs, attempts and failed rows of the sync. The next run is the first one again: it sends every row as added or takes all rows as delivered, depending on `firstRun`.\n' +
    'Nothing is sent, and nothing is removed at the API: rows that leave the model before the next run stay at the API. Use a reset to change the key columns or the number of partitions. To send all rows again, use `sluice resync`, which forgets none.\n' +
    'It is refused while a run is queued or at work.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync that is forgotten' }],
  options: {},
  exits: {
    0: 'what was delivered is forgotten',
    1: 'a run is at work or queued, or the reset failed',
    ...EXITS_OF_ASKING,
    130: 'interrupted',
  },
  examples: [
    { command: 'sluice reset customers', does: 'forgets; the next `sluice run customers` is the first one' },
  ],
  run: context =>
    askAndShow(context, (control, following) =>
      control.ask('reset', { name: context.args.positionals[0] ?? '' }, following),
    ),
}

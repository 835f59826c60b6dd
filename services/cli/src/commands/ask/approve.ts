/** `sluice approve`. */
import { SluiceError } from '@sluice/contracts/errors'
import { askAndShow } from '../../ask-and-show.ts'
import { booleanOption, type Command } from '../../command.ts'
import { EXITS_OF_RUNS } from '../../exit-codes.ts'

export const command: Command = {
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

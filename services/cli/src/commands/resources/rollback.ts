/** `sluice rollback`. */
import { booleanOption, numberOption, type Command } from '../../command.ts'
import { EXIT, EXITS_OF_CHANGES } from '../../exit-codes.ts'
import { openControl } from '../../open-control.ts'
import { RESOURCE, resourceOf } from './resource-name.ts'

export const command: Command = {
  description:
    'Makes a stored resource what it was in an earlier version. `sluice history RESOURCE` lists the versions. A run that begins afterwards uses it. The history goes on: a rollback is a new version.\n' +
    'The files of the folder stay as they are. A resource that comes from a folder is changed only with --take-over; otherwise the next `sluice apply` would change it back.',
  positionals: [RESOURCE],
  options: {
    to: {
      type: 'number',
      value: 'VERSION',
      min: 1,
      max: 1_000_000_000,
      help: 'the version to go back to (default: the one before the present)',
    },
    'take-over': { type: 'boolean', help: 'also if it comes from the folder of a project' },
  },
  exits: EXITS_OF_CHANGES,
  examples: [
    { command: 'sluice rollback sync/customers', does: 'undo the last change of the sync' },
    { command: 'sluice rollback sync/customers --to 3', does: 'make it what it was in version 3' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    const version = { to: numberOption(args, 'to'), takeOver: booleanOption(args, 'take-over') }
    await using control = await openControl(context)
    const view = await control.call('rollbackResource', { ...resourceOf(args), ...version }, { signal })
    const { kind, name, version: made = 0, changed } = view
    const what = changed.length === 0 ? 'nothing differs' : `changed: ${changed.join(', ')}`
    stdout.write(json ? `${JSON.stringify(view)}\n` : `${kind} ${name} is at version ${made} now (${what})\n`)
    return EXIT.success
  },
}

/** `sluice diff`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_CHANGES } from '../../exit-codes.ts'
import { outputOptions } from '../../history-options.ts'
import { changesText } from './changes-text.ts'
import { asTyped } from '../../output/called.ts'
import { CHANGE_OPTIONS, printJson, tellNotices, withFolder } from './project-changes.ts'

export const command: Command = {
  description:
    'Compares the folder with the resources that are stored: on a server, on Kafka, or in the folder, where the environment says. It shows what `sluice apply` with the same options would create, change and delete, field by field.\n' +
    'It changes nothing.',
  positionals: [],
  options: CHANGE_OPTIONS,
  readsFolder: true,
  exits: EXITS_OF_CHANGES,
  examples: [
    { command: 'sluice diff', does: 'what `sluice apply` would change' },
    { command: 'sluice diff --prune --json', does: 'the same for scripts, with what would be deleted' },
  ],
  async run(context) {
    const { json, stdout, signal, called } = context
    const view = await withFolder(context, (control, project) =>
      control.call('diffResources', project, { signal }),
    )
    tellNotices(context, view)
    if (json) printJson(context, view)
    else {
      const end = `\`${asTyped('sluice apply', called)}\` does it.`
      stdout.write(changesText(view, { ...outputOptions(context), tense: 'would', end }))
    }
    return EXIT.success
  },
}

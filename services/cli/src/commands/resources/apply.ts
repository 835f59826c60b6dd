/** `sluice apply`. */
import type { Command } from '../../command.ts'
import { dataDirHere } from '../../compose.ts'
import { EXIT, EXITS_OF_CHANGES } from '../../exit-codes.ts'
import { noteProject } from '../../folder/folder-owner.ts'
import { outputOptions } from '../../history-options.ts'
import { changesText } from './changes-text.ts'
import { CHANGE_OPTIONS, printJson, tellNotices, withFolder } from './project-changes.ts'

export const command: Command = {
  description:
    'Stores the resources of the folder: on a server, on Kafka, or in the folder, where the environment says. All of them change, or none. A run that begins afterwards uses them.\n' +
    'The resources belong to the project. With --prune, what belongs to it and is gone from the folder is deleted. A sync goes with its topics and all that is known of its rows.\n' +
    'What belongs to another project, or was written on the server, is changed only with --take-over.',
  positionals: [],
  options: CHANGE_OPTIONS,
  readsFolder: true,
  exits: EXITS_OF_CHANGES,
  examples: [
    { command: 'sluice apply', does: 'let the edits of this folder count' },
    { command: 'sluice apply --prune', does: 'and delete what is gone from it' },
    {
      command: 'SLUICE_URL=https://sluice.example.com sluice apply --project crm --json',
      does: 'from CI, on a server',
    },
  ],
  async run(context) {
    const { json, stdout, signal } = context
    const view = await withFolder(context, async (control, project) => {
      const changed = await control.call('applyResources', project, { signal })
      noteProject(dataDirHere(context), project)
      return changed
    })
    tellNotices(context, view)
    if (json) printJson(context, view)
    else stdout.write(changesText(view, { ...outputOptions(context), tense: 'did', end: null }))
    return EXIT.success
  },
}

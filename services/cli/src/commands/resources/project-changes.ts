/**
 * The part that `diff` and `apply` share: the resources of the folder, and what becomes of the stored ones.
 */
import type { ChangesView } from '@sluice/contracts/api/resources'
import { SluiceError } from '@sluice/contracts/errors'
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { Control } from '@sluice/control/port'
import { viewOf } from '@sluice/control/resources/written-resource'
import { loadProject } from '@sluice/project/load-project'
import { booleanOption, textOption, type CommandContext, type OptionSpec } from '../../command.ts'
import { dataDirHere } from '../../compose.ts'
import { ownedIn } from '../../folder/folder-owner.ts'
import { openControl } from '../../open-control.ts'
import { teller } from '../../output/notice.ts'

const MAX_NAME = 200

export const CHANGE_OPTIONS: { readonly [name: string]: OptionSpec } = {
  prune: { type: 'boolean', help: 'also delete what belongs to the project and is gone from the folder' },
  project: {
    type: 'text',
    value: 'NAME',
    help: "the project that the resources belong to (default: `name` in sluice.yaml, else the folder's name)",
  },
  'take-over': {
    type: 'boolean',
    help: 'also change what belongs to another project, or was written on the server',
  },
}

/** Loads the whole folder: a mistake anywhere is told before anything changes. */
export async function withFolder<T>(
  context: CommandContext,
  ask: (control: Control, project: InputOf<'applyResources'>) => Promise<T>,
): Promise<T> {
  const { args, dir, env, signal } = context
  const named = textOption(args, 'project')
  if (named === '' || (named?.length ?? 0) > MAX_NAME)
    throw new SluiceError('usage', `\`--project\` wants a name of at most ${MAX_NAME} characters.`)
  const { owner, resources } = ownedIn(dataDirHere(context), await loadProject(dir, { env, signal }))
  await using control = await openControl(context)
  return await ask(control, {
    ...(named === undefined ? { project: owner.project, folder: owner.folder } : { project: named }),
    resources: [...resources.values()].map(viewOf),
    prune: booleanOption(args, 'prune'),
    takeOver: booleanOption(args, 'take-over'),
  })
}

/** Prints the changes as JSON, with the fields that the interface has. */
export function printJson({ stdout }: CommandContext, { changes }: ChangesView): void {
  const shown = changes.map(({ kind, name, action, fields }) => ({ kind, name, action, fields }))
  stdout.write(`${JSON.stringify({ changes: shown })}\n`)
}

export function tellNotices(context: CommandContext, { notices = [] }: ChangesView): void {
  for (const notice of notices) teller(context)(notice)
}

/** `sluice history` and `sluice rollback`: the versions of a stored resource. */
import { SluiceError } from '@sluice/contracts/errors'
import { isResourceKind, RESOURCE_SCHEMAS } from '@sluice/contracts/resources'
import type { ResourceHistoryView } from '@sluice/contracts/api/resources'
import type { ResourceNamed } from '@sluice/control/port'
import {
  booleanOption,
  numberOption,
  type Command,
  type CommandArgs,
  type PositionalSpec,
} from '../command.ts'
import { EXIT, EXITS_OF_ASKING, EXITS_OF_CHANGES } from '../exit-codes.ts'
import { outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { painter, safe } from '../output/paint.ts'
import { table } from '../output/table.ts'
import type { OutputOptions } from '../output/wording.ts'

const RESOURCE: PositionalSpec = {
  name: 'RESOURCE',
  required: true,
  help: 'its kind and name: `sync/customers`',
}

export const historyCommand: Command = {
  description:
    'Lists the versions of a stored resource, the newest first: when it was changed, by whom, and which fields. The last 50 versions are kept.',
  positionals: [RESOURCE],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice history sync/customers', does: 'who changed the sync, and what' },
    { command: 'sluice history model/customers --json', does: 'with the fields of each version' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    await using control = await openControl(context)
    const view = await control.call('getResourceHistory', resourceOf(args), { signal })
    stdout.write(json ? `${JSON.stringify(view)}\n` : versionsText(view, outputOptions(context)))
    return EXIT.success
  },
}

export const rollbackCommand: Command = {
  description:
    'Restores an earlier version of a stored resource. `sluice history RESOURCE` lists the versions. A run that begins afterwards uses it. The history goes on: a rollback is a new version.\n' +
    'The files of the folder stay as they are. A resource that comes from a folder is changed only with --take-over; otherwise the next `sluice apply` would change it back.',
  positionals: [RESOURCE],
  options: {
    to: {
      type: 'number',
      value: 'VERSION',
      min: 1,
      max: 1_000_000_000,
      help: 'the version to restore (default: the one before the present)',
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

/** Throws `usage` for a text that is no kind and name. */
function resourceOf({ positionals: [text = ''] }: CommandArgs): ResourceNamed {
  const slash = text.indexOf('/')
  const kind = text.slice(0, slash)
  if (slash > 0 && isResourceKind(kind)) return { kind, name: text.slice(slash + 1) }
  const kinds = Object.keys(RESOURCE_SCHEMAS).join(', ')
  throw new SluiceError(
    'usage',
    `A resource is named by its kind and name, such as \`sync/customers\`, found \`${text}\`. The kinds are ${kinds}.`,
  )
}

/** The versions of a resource as a table. */
function versionsText({ versions }: ResourceHistoryView, { color, columns }: OutputOptions): string {
  const rows = versions.map(({ version, at, by, project, action, fields }) => [
    ...[String(version), at?.slice(0, 19).replace('T', ' ') ?? '', by ?? '', project],
    action === 'update' ? fields.join(', ') : `${action}d`,
  ])
  const lines = table(
    ['VERSION', 'AT', 'BY', 'PROJECT', 'CHANGED'].map(title => ({
      title,
      align: title === 'VERSION' ? ('right' as const) : ('left' as const),
      shrinks: title === 'CHANGED',
      drops: title === 'PROJECT',
    })),
    rows.map(row => row.map(safe)),
    { width: columns, paint: painter(color) },
  )
  return `${lines.join('\n')}\n`
}

/** `sluice diff` and `sluice apply`. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { ChangeView, ChangesView, FieldChange } from '@sluice/contracts/api/resources'
import { SluiceError } from '@sluice/contracts/errors'
import type { Control } from '@sluice/control/port'
import { viewOf } from '@sluice/control/resources/written-resource'
import { loadProject } from '@sluice/project/load-project'
import { booleanOption, textOption, type Command, type CommandContext, type OptionSpec } from '../command.ts'
import { dataDirHere } from '../compose.ts'
import { EXIT, EXITS_OF_CHANGES } from '../exit-codes.ts'
import { noteProject, ownedIn } from '../folder/folder-owner.ts'
import { outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { asTyped } from '../output/called.ts'
import { teller } from '../output/notice.ts'
import { fit, painter, safe, type Paint } from '../output/paint.ts'
import type { OutputOptions } from '../output/wording.ts'

const CHANGE_OPTIONS: { readonly [name: string]: OptionSpec } = {
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

export const diffCommand: Command = {
  description:
    'Compares the folder with the resources that are stored: on a server, on Kafka, or in the folder, where the environment says. It shows what `sluice apply` with the same options would create, change and delete, field by field.\n' +
    'It changes nothing. With --run it also shows what the next run of each sync would send with the resources of the folder, as Markdown for a pull request.',
  positionals: [],
  options: {
    ...CHANGE_OPTIONS,
    run: { type: 'boolean', help: 'also show what the next run of each sync would send; prints Markdown' },
  },
  readsFolder: true,
  exits: EXITS_OF_CHANGES,
  examples: [
    { command: 'sluice diff', does: 'what `sluice apply` would change' },
    { command: 'sluice diff --prune --json', does: 'the same for scripts, with what would be deleted' },
    { command: 'sluice diff --run > comment.md', does: 'a comment for a pull request' },
  ],
  async run(context) {
    const { args, json, stdout, signal, called } = context
    if (booleanOption(args, 'run')) {
      const { diffRuns } = await import('./diff-run.ts')
      return await withFolder(context, async (control, project) => {
        const changes = await control.call('diffResources', project, { signal })
        const syncs = project.resources.filter(({ kind }) => kind === 'sync').map(({ name }) => name)
        return await diffRuns(context, control, { changes, syncs, documents: project.resources })
      })
    }
    const view = await withFolder(context, (control, project) =>
      control.call('diffResources', project, { signal }),
    )
    printNotices(context, view)
    if (json) printJson(context, view)
    else {
      const same = ['prune', 'take-over'].filter(name => booleanOption(args, name)).map(name => ` --${name}`)
      const end = `\`${asTyped(`sluice apply${same.join('')}`, called)}\` does it.`
      stdout.write(changesText(view, { ...outputOptions(context), tense: 'would', end }))
    }
    return EXIT.success
  },
}

export const applyCommand: Command = {
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
    printNotices(context, view)
    if (json) printJson(context, view)
    else stdout.write(changesText(view, { ...outputOptions(context), tense: 'did', end: null }))
    return EXIT.success
  },
}

const MAX_NAME = 200

/** Loads the whole folder, so that a mistake anywhere throws before anything changes. */
async function withFolder<T>(
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

/** Prints the changes as JSON, with the fields that users rely on. */
function printJson({ stdout }: CommandContext, { changes }: ChangesView): void {
  const shown = changes.map(({ kind, name, action, fields }) => ({ kind, name, action, fields }))
  stdout.write(`${JSON.stringify({ changes: shown })}\n`)
}

function printNotices(context: CommandContext, { notices = [] }: ChangesView): void {
  for (const notice of notices) teller(context)(notice)
}

const USUAL_COLUMNS = 100
/** The output shows this many lines of a text that differs. */
const MAX_LINES = 6

const SIGNS = { create: '+', update: '~', delete: '-' } as const
const COLORS = { create: 'green', update: 'yellow', delete: 'red' } as const

/** Lists the changes by resource and field. `end` says what to do next. */
function changesText(
  { changes }: ChangesView,
  options: OutputOptions & { readonly tense: 'would' | 'did'; readonly end: string | null },
): string {
  const { color, columns, tense, end } = options
  const paint = painter(color)
  if (changes.length === 0)
    return `${paint('green', '✓')} Nothing ${tense === 'would' ? 'to change' : 'has changed'}: what is stored is as the folder has it.\n`
  const width = columns ?? USUAL_COLUMNS
  const lines = changes.flatMap(change => changeLines(change, { paint, width }))
  const count = (counted: ChangeView['action']): number =>
    changes.filter(({ action }) => action === counted).length
  const parts = (['create', 'update', 'delete'] as const).flatMap(action =>
    count(action) === 0 ? [] : [`${count(action)} ${WORDS[tense][action]}`],
  )
  return `${[...lines, '', [`${parts.join(', ')}.`, ...(end === null ? [] : [end])].join(' ')].join('\n')}\n`
}

const WORDS = {
  would: { create: 'to create', update: 'to change', delete: 'to delete' },
  did: { create: 'created', update: 'changed', delete: 'deleted' },
} as const

interface Look {
  readonly paint: Paint
  readonly width: number
}

function changeLines({ kind, name, action, values = [], takenFrom }: ChangeView, look: Look): string[] {
  const { paint } = look
  const from =
    takenFrom === undefined ? '' : ` (${takenFrom === '' ? 'the server’s own' : `of ${takenFrom}`} until now)`
  const head = `${paint(COLORS[action], SIGNS[action])} ${kind.padEnd(11)} ${safe(name)}${safe(from)}`
  const fields = values.flatMap(value => fieldLines(value, look))
  return [head, ...fields]
}

/** Shows short values in one line, and of longer texts the lines that differ. */
function fieldLines({ field, before, after }: FieldChange, { paint, width }: Look): string[] {
  const old = valueText(before)
  const now = valueText(after)
  if (!old.includes('\n') && !now.includes('\n')) {
    const room = Math.max(10, Math.floor((width - field.length - 10) / 2))
    return [`    ${safe(field)}  ${fit(safe(old), room)} ${paint('dim', '→')} ${fit(safe(now), room)}`]
  }
  const [gone, come] = differing(old.split('\n'), now.split('\n'))
  const shown = (lines: readonly string[], sign: '-' | '+'): string[] => {
    const some = lines.slice(0, MAX_LINES).map(line => {
      return paint(sign === '-' ? 'red' : 'green', `      ${sign} ${fit(safe(line), width - 8)}`)
    })
    return lines.length > MAX_LINES
      ? [...some, `      ${sign} … ${lines.length - MAX_LINES} more lines`]
      : some
  }
  return [`    ${safe(field)}`, ...shown(gone, '-'), ...shown(come, '+')]
}

/** The lines between the first and the last one that differ. */
function differing(
  old: readonly string[],
  now: readonly string[],
): readonly [readonly string[], readonly string[]] {
  let start = 0
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1
  let end = 0
  const maxEnd = Math.min(old.length, now.length) - start
  while (end < maxEnd && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1
  return [old.slice(start, old.length - end), now.slice(start, now.length - end)]
}

function valueText(value: unknown): string {
  if (value === undefined) return '(none)'
  return typeof value === 'string' ? value.replace(/\n$/, '') : JSON.stringify(value)
}

/**
 * The first run in a folder that has no log yet. The folder may be a second clone, or be on a new machine,
 * and then the destination has the rows already. So the command says what will be sent. It also asks, if
 * somebody can answer and the files show that the project is older.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { ResourceView } from '@sluice/contracts/api'
import type { Control } from '@sluice/control/port'
import { textOption, type CommandContext, type OptionSpec } from '../command.ts'
import { environmentsThatRan, isFirstHere, type FirstRun } from '../compose.ts'
import { teller } from '../output/notice.ts'
import { environmentOf } from '../output/paint.ts'
import { counted } from '../output/wording.ts'
import { confirmed } from '../ask-person.ts'

const CHOICES = ['backfill', 'skip-existing'] as const
const MAX_INDEX_BYTES = 100_000_000

export const FIRST_RUN_OPTION: OptionSpec = {
  type: 'text',
  value: 'HOW',
  choices: CHOICES,
  help: 'how a sync begins that never ran here, in place of its `firstRun`: backfill sends every row as added, skip-existing takes every row as delivered already',
}

/** Returns `--first-run` for these syncs; undefined without the option. */
function firstRunOption(
  { args, env }: CommandContext,
  syncs: readonly string[] | null,
): FirstRun | undefined {
  const how = CHOICES.find(each => each === textOption(args, 'first-run'))
  if (how === undefined) return undefined
  if ((env['SLUICE_URL'] ?? '') === '') return { syncs, how }
  throw new SluiceError(
    'usage',
    '`--first-run` counts where the folder is read, and a server runs syncs as they are stored: unset SLUICE_URL, or set `firstRun` of the sync and `sluice apply`.',
  )
}

/**
 * Returns how syncs begin that run here for the first time, and asks the person if need be. Null if the
 * person refuses. It opens nothing if the folder has a log.
 */
export async function chooseFirstRun(
  context: CommandContext,
  syncs: readonly string[] | null,
  open: () => Promise<Control>,
): Promise<FirstRun | undefined | null> {
  const said = firstRunOption(context, syncs)
  if (said !== undefined || !isFirstHere(context)) return said
  const { stdin, json, dir, signal } = context
  await using control = await open()
  const { resources } = await control.call('listResources', { limit: 1_000 }, { signal })
  const first = resources.filter(each => sends(each) && (syncs?.includes(each.name) ?? true))
  if (first.length === 0) return undefined
  const names = first.map(({ name }) => name)
  const others = await otherEnvironments(context)
  const isOlder = first.some(asks) || others.length > 0 || (await isCommitted(dir))
  const notice = firstNotice(names, environmentOf(context.env), others)
  if (json || stdin.isTTY !== true || !isOlder) {
    if (!first.some(asks)) teller(context)(notice)
    return undefined
  }
  const rows = await addedRows(control, names, signal)
  if (rows === 0) return undefined
  teller(context)(notice)
  if (await confirmed(`Send ${counted(rows, 'row')} as added?`, context)) return { syncs, how: 'backfill' }
  context.stdout.write('Nothing was sent.\n')
  return null
}

const asks = ({ spec }: ResourceView): boolean => spec['firstRun'] === 'ask'

function sends({ kind, spec }: ResourceView): boolean {
  return kind === 'sync' && spec['firstRun'] !== 'skip-existing'
}

/** `others` are environments that ran here, each as a person names it. */
function firstNotice(syncs: readonly string[], env: string | null, others: readonly string[]): string {
  const some = syncs.slice(0, 5).join(' ')
  const here = env === null ? 'without `--env`' : `with \`--env ${env}\``
  const ran =
    others.length === 0
      ? 'nothing ran in this folder so far'
      : `nothing ran ${here} so far, but ${others.slice(0, 5).join(', ')}, and each environment has a state of its own`
  return (
    `${ran}, so all rows of ${syncs.slice(0, 5).join(', ')} are sent as added. ` +
    `If the API has them already, as in a second clone or on a new machine, \`sluice run ${some} --first-run skip-existing\` begins with the rows as they are, or copy \`.sluice\` from where it ran`
  )
}

/** A person who forgets `--env`, or begins to use it, would have every row sent once more. */
async function otherEnvironments({ dir, env }: CommandContext): Promise<readonly string[]> {
  const others = (await environmentsThatRan(dir)).filter(name => name !== environmentOf(env))
  return others.map(name => (name === null ? 'without `--env`' : `with \`--env ${name}\``))
}

async function addedRows(control: Control, syncs: readonly string[], signal: AbortSignal): Promise<number> {
  let rows = 0
  for (const sync of syncs) {
    await using next = await control.preview('preview', { sync }, { signal })
    rows += next.counts.added
  }
  return rows
}

/**
 * True if Git has one of the folder's YAML files. This reads Git's index itself, since `git` runs programs
 * that a folder names.
 */
async function isCommitted(dir: string): Promise<boolean> {
  let root = dir
  while (!existsSync(join(root, '.git')) && dirname(root) !== root) root = dirname(root)
  const file = join(root, '.git', 'index')
  const size = await stat(file).then(
    found => found.size,
    () => 0,
  )
  if (size === 0 || size > MAX_INDEX_BYTES) return false
  const index = await readFile(file)
  const names = (await readdir(dir)).filter(name => /\.ya?ml$/i.test(name))
  return names.some(name => index.includes(relative(root, join(dir, name)).split(sep).join('/')))
}

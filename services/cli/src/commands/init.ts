/** `sluice init`. */
import { randomBytes } from 'node:crypto'
import { appendFile, lstat, readFile, rm, rmdir, stat, truncate } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { diskFailure } from '@sluice/domain/disk-failure'
import { makeFolder } from '@sluice/runtime/make-folder'
import { writeNewFile } from '@sluice/runtime/private-files'
import type { Command, CommandContext } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { asTyped, inShell } from '../output/called.ts'
import { painter } from '../output/paint.ts'
import { projectAround } from '@sluice/project/files/project-around'
import { PROJECT_FILE } from '@sluice/project/files/project-root'

/** The folder with the files of the starting project. */
export const STARTER = new URL('../../starter/', import.meta.url)
export const STARTER_FILES = [
  'sluice.yaml',
  'connections.yaml',
  'customers.yaml',
  'data/customers.csv',
  'receiver.mjs',
] as const

export const command: Command = {
  description:
    'Writes a small project that runs: four customers in a CSV file, YAML files whose comments explain each part, and a tiny API to send to.\n' +
    'It overwrites no file: if one of these files already exists, it writes nothing.',
  positionals: [
    { name: 'DIR', required: false, help: 'the folder, created if it is missing (default: the current one)' },
  ],
  options: {},
  anywhere: true,
  examples: [
    { command: 'sluice init demo', does: 'a project in the folder demo' },
    { command: 'sluice init', does: 'a project in the current folder' },
  ],
  async run(context) {
    const dir = resolve(context.dir, context.args.positionals[0] ?? '.')
    await refuseToOverwrite(dir)
    refuseToNest(dir, await projectAround(dir))
    const missing = await missingFolders(dir)
    const written: string[] = []
    try {
      for (const file of STARTER_FILES) {
        context.signal.throwIfAborted()
        await writeStarterFile(dir, file)
        written.push(file)
      }
      if (await ignoreState(dir)) written.push('.gitignore')
    } catch (error) {
      // Half of the files would make the next `sluice init` refuse.
      for (const file of written) await rm(join(dir, file), { force: true }).catch(() => undefined)
      for (const folder of missing) await rmdir(folder).catch(() => undefined)
      throw error
    }
    if (context.json) context.stdout.write(`${JSON.stringify({ dir, files: written })}\n`)
    else context.stdout.write(nextSteps(dir, written, context))
    return EXIT.success
  },
}

async function refuseToOverwrite(dir: string): Promise<void> {
  const there: string[] = []
  for (const file of STARTER_FILES) if (await exists(join(dir, file))) there.push(file)
  if (there.length === 0) return
  throw new SluiceError(
    'usage',
    `${dir} already has ${there.map(file => `\`${file}\``).join(', ')}, and \`sluice init\` overwrites no file. Name another folder: \`sluice init DIR\`.`,
  )
}

/**
 * A folder below a project belongs to that project. Sluice would read the files of both, and they would
 * clash.
 */
function refuseToNest(dir: string, around: string | null): void {
  if (around === null) return
  throw new SluiceError(
    'usage',
    `${dir} lies in the project ${around}, whose files include those of all folders below it. Name a folder outside of it: \`sluice init DIR\`.`,
  )
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

async function writeStarterFile(dir: string, file: string): Promise<void> {
  const path = join(dir, file)
  try {
    makeFolder(dirname(path))
    const text = await readFile(new URL(file, STARTER), 'utf8')
    const named = file === PROJECT_FILE ? text.replace('NAME', projectName(dir)) : text
    writeNewFile(path, named, { mode: 0o666 })
  } catch (error) {
    if (isSluiceError(error, 'disk')) throw error
    const reason = messageOf(error)
    throw new SluiceError('usage', `${path} cannot be written: ${reason}`, { cause: error })
  }
}

/** The missing folders of the project, the inner ones first. */
async function missingFolders(dir: string): Promise<readonly string[]> {
  const missing: string[] = []
  for (const folder of new Set([...STARTER_FILES.map(file => dirname(join(dir, file))), dir]))
    if (!(await exists(folder))) missing.push(folder)
  return missing.toSorted((a, b) => b.length - a.length)
}

/** Makes a name that no other project has, since two teams with folders of one name may share a Kafka. */
function projectName(dir: string): string {
  const folder = basename(dir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
  return `${folder.slice(0, 40).replace(/-$/, '') || 'project'}-${randomBytes(3).toString('hex')}`
}

/**
 * Makes Git ignore `.sluice`: writes a `.gitignore`, or adds the line to the existing one. False if the line
 * is already there.
 */
async function ignoreState(dir: string): Promise<boolean> {
  const path = join(dir, '.gitignore')
  // The line would go wherever the link leads, and somebody else may have made the link.
  if ((await lstat(path).catch(() => null))?.isSymbolicLink() === true) return false
  const before = await readFile(path, 'utf8').catch(() => null)
  if (before !== null && /^\/?\.sluice\/?\s*$/m.test(before)) return false
  const lines = await readFile(new URL('gitignore', STARTER), 'utf8')
  const separator = before === null || before === '' || before.endsWith('\n') ? '' : '\n'
  await appendFile(path, `${separator}${lines}`).catch(async (error: unknown) => {
    const undone = before === null ? rm(path, { force: true }) : truncate(path, Buffer.byteLength(before))
    await undone.catch(() => undefined)
    throw diskFailure(`${path} cannot be written`, error) ?? error
  })
  return true
}

function nextSteps(
  dir: string,
  written: readonly string[],
  { color, called, dir: from }: CommandContext,
): string {
  const paint = painter(color)
  const path = relative(from, dir)
  // A relative path leads to another program, or none, from another folder. npx looks for the program in the
  // folder and above.
  const isAnywhere =
    called.command === 'sluice' || (called.command === 'npx sluice' && !path.startsWith('..'))
  const typed = { command: called.command, dir: path === '' || isAnywhere ? null : path }
  const steps = [
    ...(path !== '' && isAnywhere ? [[`cd ${inShell(path)}`, '']] : []),
    [
      `node ${typed.dir === null ? 'receiver.mjs' : inShell(join(path, 'receiver.mjs'))}`,
      'in a second terminal: an API that prints what it gets',
    ],
    [asTyped('sluice run customers', typed), 'sends the four customers'],
    [asTyped('sluice run customers', typed), 'once more: nothing changed, so nothing is sent'],
    [asTyped('sluice runs', typed), 'the history; edit data/customers.csv and run again'],
  ]
  const width = Math.max(...steps.map(([command = '']) => command.length))
  return [
    `${paint('green', '✓')} A project in ${dir}`,
    ...written.map(file => `  ${file}`),
    '',
    'Next:',
    ...steps.map(([command = '', why = '']) =>
      `  ${paint('cyan', command.padEnd(width + 2))} ${why}`.trimEnd(),
    ),
    '',
  ].join('\n')
}

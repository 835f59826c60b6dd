/** `sluice backup` and `sluice restore`. */
import { resolve } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import { booleanOption, type Command, type CommandContext } from '../command.ts'
import { dataDirHere, openBackup } from '../compose.ts'
import { EXIT } from '../exit-codes.ts'
import { teller } from '../output/notice.ts'
import { painter, safe } from '../output/paint.ts'

export const backupCommand: Command = {
  description:
    'Copies the log of the project into a folder: what was delivered, the history, and the vault with its secrets encrypted. It may be called while `sluice up` or a run is at work.\n' +
    'The key of the vault is left out, since a copy with its key is worth as much as the secrets: keep it apart, or call the command with --with-key.',
  positionals: [
    {
      name: 'DIR',
      required: true,
      help: 'a new folder, or an empty one; a relative path begins at the project',
    },
  ],
  options: { 'with-key': { type: 'boolean', help: 'also copy the key of the vault' } },
  readsFolder: true,
  exits: { 1: 'the folder is not empty, the log is damaged, or the disk is full' },
  examples: [
    { command: 'sluice backup /backup/shop-monday', does: 'back up the project in this folder' },
    { command: 'sluice --env prod backup /backup/prod', does: 'back up one environment of it' },
  ],
  async run(context) {
    const { args, stdout, json, color } = context
    const to = target(context)
    const { backUp } = await openBackup()
    const dataDir = folderOf(context)
    const { at, key } = await backUp(dataDir, { to, withKey: booleanOption(args, 'with-key') })
    if (json) stdout.write(`${JSON.stringify({ dir: to, at, key: key === 'copied' })}\n`)
    else
      stdout.write(
        `${painter(color)('green', '✓')} ${safe(to)} has the log of this project as it was at ${at}.\n${ABOUT_KEY[key](safe(dataDir))}`,
      )
    return EXIT.success
  },
}

const ABOUT_KEY = {
  copied: () => '',
  'left out': (dataDir: string) =>
    `The key of the vault is not in it: keep ${dataDir}/key in another place.\n`,
  none: (dataDir: string) => `The key of the vault is not in it, since ${dataDir} has none.\n`,
}

export const restoreCommand: Command = {
  description:
    "Puts a backup in the place of the project's log, while nothing is at work in the folder. Sluice then does not know what it has sent since the backup: the next run of each sync sends the rows that changed since once more.\n" +
    'With --replace, a log that is there stays beside the restored one, as log.db.replaced, until you remove it. Its keys stay in the file of the key.',
  positionals: [
    {
      name: 'DIR',
      required: true,
      help: 'the folder that `sluice backup` wrote; a relative path begins at the project',
    },
  ],
  options: { replace: { type: 'boolean', help: 'restore although the project has a log' } },
  readsFolder: true,
  exits: { 1: 'a process is at work in the folder, or it has a log' },
  examples: [
    { command: 'sluice restore /backup/shop-monday', does: 'restore on a new machine' },
    { command: 'sluice restore /backup/shop-monday --replace', does: 'go back to that state' },
  ],
  async run(context) {
    const { args, stdout, json, color } = context
    const from = target(context)
    const { restore } = await openBackup()
    const options = { from, replaces: booleanOption(args, 'replace'), tell: teller(context) }
    const { at } = await restore(folderOf(context), options)
    if (json) stdout.write(`${JSON.stringify({ dir: from, at })}\n`)
    else
      stdout.write(
        `${painter(color)('green', '✓')} The project is as it was at ${at}.\n` +
          'The next run of each sync sends rows that changed since then once more. With `delivery: at-most-once`, too: first look what the API has.\n',
      )
    return EXIT.success
  },
}

function target({ args, cwd }: CommandContext): string {
  return resolve(cwd, args.positionals[0] ?? '')
}

/** Returns the folder of the log. Throws `usage` if it is elsewhere. */
function folderOf({ dir, env }: CommandContext): string {
  const dataDir = dataDirHere({ dir, env })
  if (dataDir !== null) return dataDir
  throw new SluiceError(
    'usage',
    'The log of this project is not in its folder: on Kafka, back up the topics (docs/OPERATIONS.md#backup-on-kafka); with SLUICE_URL, call the command where the server runs.',
  )
}

/** `sluice upgrade --check`. */
import type { UpgradeView } from '@sluice/contracts/operator-views'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import {
  asUpgradeCheck,
  byHand,
  kept,
  OLDEST_BACK,
  versionCheck,
  type UpgradeCheck,
} from '@sluice/control/health/upgrade-checks'
import { loadProject } from '@sluice/project/load-project'
import { booleanOption, type Command, type CommandContext } from '../command.ts'
import { loggerFor } from '../cli-logger.ts'
import { doctorChecks, foundInstallation } from '../compose.ts'
import { EXIT } from '../exit-codes.ts'
import { outputOptions } from '../history-options.ts'
import { checksText } from '../output/checks-text.ts'
import { teller } from '../output/notice.ts'
import { painter } from '../output/paint.ts'
import { counted, type OutputOptions } from '../output/wording.ts'
import { codeOf } from './doctor.ts'
import { sluiceVersion } from './version.ts'

export const command: Command = {
  description:
    'Says whether this version can go on with what another version has left: the version that wrote it, what stays, what is built again, what somebody has to do first, and the way back. Call it with the new version, before anything else of it runs. It changes nothing.\n' +
    'In a folder it looks at the log, the schemas in it, the delivered state, the history, the vault and the project. With SLUICE_KAFKA_BROKERS it looks at topics and their settings, the schema registry, consumer groups, and what is stored.\n' +
    'A part that is built again is a warning, and leaves the exit code 0.',
  positionals: [],
  options: {
    check: { type: 'boolean', help: 'look, and change nothing; required, since npm does the upgrade' },
  },
  readsFolder: true,
  exits: {
    0: 'this version can go on',
    2: 'something has to be done first, or this version cannot use what is there',
    5: 'something cannot be reached',
  },
  examples: [
    { command: 'sluice upgrade --check', does: 'before this version runs for the first time' },
    { command: 'sluice upgrade --check --json', does: 'for scripts that deploy' },
  ],
  async run(context) {
    const { args, env, json, stdout } = context
    if (!booleanOption(args, 'check'))
      throw new SluiceError(
        'usage',
        '`sluice upgrade` wants `--check`: `npm install` of a version is the upgrade, and the command says before what this version will do.',
      )
    if ((env['SLUICE_URL'] ?? '') !== '')
      throw new SluiceError(
        'usage',
        '`sluice upgrade --check` looks at files and topics, and SLUICE_URL names a server: unset it, and call the command where the server runs.',
      )
    const view = await upgradeOf(context)
    stdout.write(json ? `${JSON.stringify(view)}\n` : upgradeText(view, outputOptions(context)))
    return codeOf(view.checks)
  },
}

async function upgradeOf(context: CommandContext): Promise<UpgradeView> {
  const { dir, env, signal } = context
  const version = sluiceVersion()
  const options = { dir, env, logger: await loggerFor(context), signal, tell: teller(context) }
  const surroundings = (await doctorChecks(options)).filter(({ status }) => status !== 'ok')
  const { writtenBy, checks } = await foundInstallation(options)
  const all = [
    ...(checks.length === 0 ? [] : [versionCheck(writtenBy, version)]),
    ...checks,
    await projectCheck(context),
    ...surroundings.map(asUpgradeCheck),
  ]
  const isRefused = all.some(({ effect, status }) => effect === 'refused' || status === 'unreachable')
  const whole = isRefused ? all : [...all, WAY_BACK]
  return { ok: codeOf(whole) === EXIT.success, version, writtenBy, checks: whole }
}

const WAY_BACK = kept(
  'way back',
  `Sluice ${OLDEST_BACK} and later can go on with what this version writes: install it again`,
)

/** A mistake in a file stops only the syncs that use it. */
async function projectCheck({ dir, env, signal }: CommandContext): Promise<UpgradeCheck> {
  try {
    const { resources } = await loadProject(dir, { env, signal })
    return kept(
      'project',
      `${counted(resources.size, 'resource')} of the folder ${resources.size === 1 ? 'passes' : 'pass'} the checks of this version`,
    )
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return byHand('project', error.message, '`sluice validate` shows each mistake with its place')
  }
}

function upgradeText({ checks, ok }: UpgradeView, options: OutputOptions): string {
  const paint = painter(options.color)
  const end = ok
    ? paint('green', 'This version can go on with what is there.')
    : paint('red', 'This version cannot go on yet.')
  return `${checksText(checks, options)}\n${end}\n`
}

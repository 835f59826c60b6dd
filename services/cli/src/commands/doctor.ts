/** `sluice doctor`. */
import { join } from 'node:path'
import type { DoctorView } from '@sluice/contracts/operator-views'
import { isSluiceError } from '@sluice/contracts/errors'
import { isDistributed } from '@sluice/runtime/settings/distributed'
import type { CommandContext, Command } from '../command.ts'
import { loggerFor } from '../cli-logger.ts'
import { doctorChecks } from '../compose.ts'
import { warning, type Check } from '@sluice/control/health/check'
import { findProject } from '@sluice/project/files/project-root'
import { projectChecks, versionChecks } from './doctor-checks.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { asTyped } from '../output/called.ts'
import { checksText } from '../output/checks-text.ts'
import { environmentOf, painter } from '../output/paint.ts'
import { teller } from '../output/notice.ts'
import { counted, type OutputOptions } from '../output/wording.ts'
import { isUnattended } from './syncs.ts'
import { sluiceVersion } from './version.ts'

const PAGE = 1_000

export const command: Command = {
  description:
    'Checks what Sluice needs, and says what to change: its version and Node, the project, and where it runs. It changes nothing.\n' +
    'In a folder it looks at disk, rights, size, files that cannot be read, and what a killed process has left. With SLUICE_KAFKA_BROKERS it looks at Kafka and the settings of topics, the schema registry, Redis, and whether their clocks agree. With SLUICE_URL it looks at that server.\n' +
    'Warnings leave the exit code 0.',
  besideProjects: true,
  positionals: [],
  options: {},
  exits: {
    0: 'nothing stands in the way',
    2: 'something has to be changed',
    5: 'something cannot be reached',
  },
  examples: [
    { command: 'sluice doctor', does: 'all checks, with what to change' },
    { command: 'sluice doctor --json', does: 'for scripts and for reports of bugs' },
  ],
  async run(context) {
    const { json, stdout } = context
    const checks = await allChecks(context)
    const code = codeOf(checks)
    const view: DoctorView = { ok: code === EXIT.success, checks: [...checks] }
    stdout.write(json ? `${JSON.stringify(view)}\n` : doctorText(view, outputOptions(context)))
    return code
  },
}

async function allChecks(context: CommandContext): Promise<readonly Check[]> {
  const { dir, env, signal } = context
  const isElsewhere = (env['SLUICE_URL'] ?? '') !== ''
  const versions = versionChecks(sluiceVersion(), process.versions.node)
  const { below } = isElsewhere ? { below: null } : await findProject(dir, context)
  const options = { dir, env, logger: await loggerFor(context), signal, tell: teller(context) }
  if (below !== null) {
    const typed = asTyped('sluice doctor', { ...context.called, dir: join(dir, below) })
    const found = warning('project', `none in ${dir}; one lies below it`, `${typed} looks at that one`)
    return [...versions, found, ...(isDistributed(env) ? await doctorChecks(options) : [])]
  }
  const project = isElsewhere ? [] : await projectChecks(dir, environmentOf(env), () => syncsOf(context))
  return [...versions, ...project, ...(await doctorChecks(options))]
}

async function syncsOf(context: CommandContext): ReturnType<Parameters<typeof projectChecks>[2]> {
  await using control = await openControl(context, { isWhole: true })
  const all = { limit: PAGE, after: undefined }
  const { resources } = await control.call('listResources', all, { signal: context.signal })
  const syncs = resources.filter(({ kind }) => kind === 'sync').length
  if (isDistributed(context.env)) return { syncs, unattended: 0 }
  try {
    const page = await control.call('listSyncs', all, { signal: context.signal })
    return { syncs, unattended: page.syncs.filter(isUnattended).length }
  } catch (error) {
    // The checks of the folder say why its log cannot be read.
    if (!isSluiceError(error)) throw error
    return { syncs, unattended: 0 }
  }
}

/** The exit code of a command that only checks. */
export function codeOf(checks: readonly Check[]): ExitCode {
  if (checks.some(({ status }) => status === 'unreachable')) return EXIT.unreachable
  return checks.some(({ status }) => status === 'problem') ? EXIT.usage : EXIT.success
}

function doctorText({ checks }: DoctorView, options: OutputOptions): string {
  const paint = painter(options.color)
  const wrong = checks.filter(({ status }) => status === 'problem' || status === 'unreachable').length
  const end =
    wrong === 0
      ? paint('green', 'Nothing stands in the way.')
      : paint('red', `${counted(wrong, 'problem')} to mend.`)
  return `${checksText(checks, options)}\n${end}\n`
}

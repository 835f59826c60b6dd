/** `sluice validate`. */
import type { ValidateView } from '@sluice/contracts/api'
import type { ResourceKind } from '@sluice/contracts/resources'
import type { Command } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { painter, safe } from '../output/paint.ts'
import type { Paint } from '../output/paint.ts'
import { loadProject } from '../project/load-project.ts'
import { namesOf } from '../project/project.ts'
import type { Project } from '../project/project.ts'

export const command: Command = {
  description:
    'Reads every *.yaml and *.yml file of the project and checks fields, references and templates. It connects to nothing and sends nothing.\n' +
    'All errors are told at once, each with file, line and column.',
  positionals: [],
  options: {},
  examples: [
    { command: 'sluice validate', does: 'check the project in the current folder' },
    { command: 'sluice --dir crm validate --json', does: 'check the folder crm, for scripts and CI' },
  ],
  async run({ dir, env, signal, json, stdout, color }) {
    const project = await loadProject(dir, { env, signal })
    const view: ValidateView = {
      ok: true,
      resources: project.resources.size,
      skipped: [...new Set(project.skipped.map(({ file }) => file))],
    }
    stdout.write(json ? `${JSON.stringify(view)}\n` : validateText(project, painter(color)))
    return EXIT.success
  },
}

const KINDS: readonly ResourceKind[] = ['source', 'model', 'destination', 'sync']

/** What was found, for people. */
function validateText(project: Project, paint: Paint): string {
  const lines: string[] = []
  if (project.resources.size === 0) {
    lines.push(`There are no resources in ${project.dir}. \`sluice init\` writes a first project.`)
  } else {
    lines.push(`${paint('green', '✓')} ${counted(project.resources.size, 'resource')}, no errors`)
  }
  for (const kind of KINDS) {
    const names = namesOf(project, kind)
    if (names.length > 0) lines.push(`  ${`${kind}s`.padEnd(13)}${names.join(', ')}`)
  }
  if (project.skipped.length > 0) {
    lines.push('', `Passed over, as documents of other tools: ${counted(project.skipped.length, 'document')}`)
    for (const { file, line, reason } of project.skipped) {
      lines.push(`  ${safe(file)}:${line} ${paint('dim', reason)}`)
    }
  }
  const [sync] = namesOf(project, 'sync')
  if (sync !== undefined) lines.push('', paint('dim', `\`sluice run ${sync}\` sends what changed.`))
  return `${lines.join('\n')}\n`
}

function counted(count: number, thing: string): string {
  return count === 1 ? `1 ${thing}` : `${count} ${thing}s`
}

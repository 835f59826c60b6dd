/** `sluice validate`. */
import type { ValidateView } from '@sluice/contracts/api'
import type { ResourceKind } from '@sluice/contracts/resources'
import {
  checkConnections,
  type Connected,
  type EncryptedDestination,
} from '@sluice/control/check-connections'
import type { CertificateView } from '@sluice/http-sender/port'
import { isSluiceError } from '@sluice/contracts/errors'
import { isStream } from '@sluice/domain/definition'
import { doubtfulValues } from '@sluice/project/checks/doubtful-values'
import { secretVariable } from '@sluice/secrets/environment'
import { secretNames } from '@sluice/contracts/secret-references'
import { booleanOption, type Command, type CommandContext } from '../command.ts'
import { connectionsOf, reportUnbound } from '../compose.ts'
import { EXIT } from '../exit-codes.ts'
import { teller } from '../output/notice.ts'
import { asTyped, withTyped, type Called } from '../output/called.ts'
import { environmentOf, painter, safe, type Paint } from '../output/paint.ts'
import { counted } from '../output/wording.ts'
import { loadProject } from '@sluice/project/load-project'
import { namesOf, type Project } from '@sluice/project/project'

export const command: Command = {
  description:
    'Reads every *.yaml and *.yml file of the project and checks fields, references and templates. It connects to nothing and sends nothing.\n' +
    'It shows all errors at once, each with file, line and column. With --connect it also asks each source for the columns of its queries, and checks keys and templates against them. It looks up each secret. It sends each destination one HEAD request, without your headers; any answer will do.',
  positionals: [],
  options: {
    connect: { type: 'boolean', help: 'also try sources, queries, columns and destinations' },
  },
  exits: {
    0: 'no mistake was found',
    2: 'there are mistakes',
    5: 'with --connect: something cannot be reached',
  },
  examples: [
    { command: 'sluice validate', does: 'check the project in the current folder' },
    { command: 'sluice validate --connect', does: 'check it against its databases and APIs, too' },
    { command: 'sluice --dir crm validate --json', does: 'check the folder crm, for scripts and CI' },
  ],
  async run(context) {
    const { args, dir, env, signal, json, stdout, color } = context
    const project = await loadProject(dir, { env, signal })
    const environment = environmentOf(env)
    const connects = booleanOption(args, 'connect')
    const sources = [...project.resources.values()].filter(({ kind }) => kind === 'source')
    if (connects) reportUnbound(sources, { env, tell: teller(context) })
    const connected = connects ? await connectedTo(project, context) : null
    const warnings = [...doubtfulValues(project), ...(connected?.warnings ?? [])]
    const view: ValidateView = {
      ok: true,
      resources: project.resources.size,
      ...(environment === null ? {} : { environment }),
      skipped: [...new Set(project.skipped.map(({ file }) => file))],
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(connected === null || connected.encrypted.length === 0
        ? {}
        : { destinations: connected.encrypted.map(encryptedView) }),
    }
    stdout.write(
      json
        ? `${JSON.stringify(view)}\n`
        : validateText(project, connected, {
            ...{ paint: painter(color), called: context.called, environment, warnings },
          }),
    )
    return EXIT.success
  },
}

async function connectedTo(project: Project, context: CommandContext): Promise<Connected> {
  const { dir, env, signal } = context
  const { loggerFor } = await import('../cli-logger.ts')
  const secrets = secretNames(JSON.stringify([...project.resources.values()]))
  const options = { dir, env, secrets, logger: await loggerFor(context), signal, tell: teller(context) }
  await using connections = await connectionsOf(options)
  const unset = connections.unset.map(unsetSecret)
  try {
    const connected = await checkConnections(project, connections, signal)
    return { ...connected, warnings: [...connected.warnings, ...unset] }
  } catch (error) {
    if (isSluiceError(error)) for (const warning of unset) options.tell(warning)
    throw error
  }
}

/** A secret may be set only where the sync runs, so a missing one is a warning. */
function unsetSecret(name: string): string {
  return (
    `the secret \`${name}\` is set neither here nor in the vault: set ${secretVariable(name)}, ` +
    `or keep it with \`sluice secret set ${name}\``
  )
}

const KINDS: readonly ResourceKind[] = ['source', 'model', 'destination', 'sync']

/** The result of the check, for people. */
function validateText(
  project: Project,
  connected: Connected | null,
  {
    paint,
    called,
    environment,
    warnings,
  }: {
    readonly paint: Paint
    readonly called: Called
    readonly environment: string | null
    readonly warnings: readonly string[]
  },
): string {
  const lines: string[] = []
  if (project.resources.size === 0) {
    lines.push(
      `There are no resources in ${project.dir}. \`${asTyped('sluice init', called)}\` writes a first project.`,
    )
  } else {
    lines.push(`${paint('green', '✓')} ${counted(project.resources.size, 'resource')}, no errors`)
  }
  if (connected !== null) {
    const { sources, queries, destinations } = connected
    const tried = [counted(sources, 'source'), `${queries} ${queries === 1 ? 'query' : 'queries'}`]
    lines.push(
      `${paint('green', '✓')} ${[...tried, counted(destinations, 'destination')].join(', ')} answered`,
    )
    for (const each of connected.encrypted) lines.push(...encryptedText(each, paint))
  }
  for (const warning of warnings) lines.push(`${paint('yellow', '!')} ${safe(withTyped(warning, called))}`)
  const { project: name, folder = null } = project.owner
  const named = folder === null ? name : `${name} (as the folder is called)`
  if (project.resources.size > 0) lines.push(`  ${'project'.padEnd(13)}${safe(named)}`)
  if (environment !== null) lines.push(`  ${'environment'.padEnd(13)}${environment}`)
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
  const sync = [...project.resources.values()].find(spec => spec.kind === 'sync')
  if (sync !== undefined) {
    const [command, does] = isStream(sync)
      ? ['sluice up', `sends each change of ${sync.name} as it comes`]
      : [`sluice run ${sync.name}`, 'sends what changed']
    lines.push('', paint('dim', `\`${asTyped(command, called)}\` ${does}.`))
  }
  return `${lines.join('\n')}\n`
}

function encryptedView({
  name,
  tls,
}: EncryptedDestination): NonNullable<ValidateView['destinations']>[number] {
  const { protocol, server, client } = tls
  return { name, protocol, server: certificateView(server), client: certificateView(client) }
}

function certificateView(shown: CertificateView | null) {
  if (shown === null) return null
  const { subject, issuer, names, validFrom, validUntil } = shown
  const time = (ms: number): string => new Date(ms).toISOString()
  return { subject, issuer, names: [...names], validFrom: time(validFrom), validUntil: time(validUntil) }
}

/** The certificates of the server and of this client. */
function encryptedText({ name, tls }: EncryptedDestination, paint: Paint): readonly string[] {
  const { protocol, server, client } = tls
  const until = (ms: number): string => `until ${new Date(ms).toISOString().slice(0, 16)}Z`
  const lines = [`  ${name} ${paint('dim', protocol ?? 'TLS')}`]
  if (server !== null) {
    const { subject, issuer, names, validUntil } = server
    lines.push(`    server ${safe(subject)}, ${until(validUntil)}`)
    lines.push(paint('dim', `      for ${safe(names.join(', '))}; issued by ${safe(issuer)}`))
  }
  if (client !== null) lines.push(`    client ${safe(client.subject)}, ${until(client.validUntil)}`)
  return lines
}

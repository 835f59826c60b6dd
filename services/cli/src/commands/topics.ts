/** `sluice topics --print`: tables for people, JSON, or commands of Kafka's own tools. */
import { SluiceError } from '@sluice/contracts/errors'
import type { TopicsView } from '@sluice/contracts/operator-views'
import { syncsNeeding, topicsNeeded, type NeedingSync } from '@sluice/control/health/needed-topics'
import { parseEnvironment } from '@sluice/runtime/environment'
import { DISTRIBUTED_VARIABLES, prefixOf } from '@sluice/runtime/settings/distributed'
import { z } from 'zod'
import { booleanOption, textOption, type Command, type CommandContext } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { inShell } from '../output/called.ts'
import { painter } from '../output/paint.ts'
import { table } from '../output/table.ts'
import type { OutputOptions } from '../output/wording.ts'

const variables = z.object({
  SLUICE_PREFIX: DISTRIBUTED_VARIABLES.SLUICE_PREFIX,
  SLUICE_ENV: DISTRIBUTED_VARIABLES.SLUICE_ENV,
  SLUICE_KAFKA_REPLICATION: DISTRIBUTED_VARIABLES.SLUICE_KAFKA_REPLICATION,
  SLUICE_KAFKA_BROKERS: z.string().optional(),
})

export const command: Command = {
  description:
    'Prints the topics that the syncs need on Kafka, with partitions and settings, and the least rights of each part: change-detector, renderer, delivery, this command and the console. It is for those who make topics and grant rights by hand (SLUICE_KAFKA_CREATE_TOPICS=false).\n' +
    'It connects to nothing. SLUICE_PREFIX, the environment and SLUICE_KAFKA_REPLICATION count.\n' +
    'A sync that is added later needs its five topics and its rights before its first run.',
  positionals: [
    { name: 'SYNC', required: false, repeats: true, help: 'only what these syncs need; default: all syncs' },
  ],
  options: {
    print: { type: 'boolean', help: 'print them; required, since the command makes nothing' },
    commands: { type: 'boolean', help: "as commands of Kafka's own tools, to be reviewed and run" },
    user: {
      type: 'text',
      value: 'USER',
      help: 'with --commands: the one user of all parts (default: a user for each, such as sluice-delivery)',
    },
    creates: { type: 'boolean', help: 'with the rights to make the topics, if Sluice is to make them' },
  },
  exits: { 5: 'the server of SLUICE_URL cannot be reached' },
  examples: [
    { command: 'sluice topics --print', does: 'topics and rights, as tables' },
    {
      command: 'sluice topics --print --commands > kafka.sh',
      does: 'a script for kafka-topics and kafka-acls',
    },
    { command: 'sluice topics --print --json', does: 'for Terraform and the like' },
  ],
  async run(context) {
    const { args, env, json, stdout } = context
    if (!booleanOption(args, 'print'))
      throw new SluiceError(
        'usage',
        '`sluice topics` wants `--print`: it makes no topics, it only names them.',
      )
    const read = parseEnvironment(variables, env)
    const { SLUICE_KAFKA_REPLICATION: replication = null } = read
    const view = topicsNeeded(await syncsOf(context), {
      prefix: prefixOf(read),
      replication,
      creates: booleanOption(args, 'creates'),
    })
    const target = { brokers: read.SLUICE_KAFKA_BROKERS, user: textOption(args, 'user') }
    if (json) stdout.write(`${JSON.stringify(view)}\n`)
    else if (booleanOption(args, 'commands')) stdout.write(topicCommands(view, target))
    else stdout.write(topicsText(view, outputOptions(context)))
    return EXIT.success
  },
}

/** The syncs that the command line names, or all. */
async function syncsOf(context: CommandContext): Promise<readonly NeedingSync[]> {
  await using control = await openControl(context)
  const all = await syncsNeeding(control, context.signal)
  const wanted = context.args.positionals
  const unknown = wanted.find(name => !all.some(sync => sync.name === name))
  if (unknown !== undefined) {
    const { unknownSync } = await import('@sluice/control/unknown-names')
    throw unknownSync(
      unknown,
      all.map(({ name }) => name),
    )
  }
  return wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name))
}

type Right = TopicsView['rights'][number]

const ROLES: { readonly [R in Right['role']]: string } = {
  detector: 'change-detector',
  renderer: 'renderer',
  delivery: 'delivery',
  command: 'sluice, the command',
  console: 'console',
}

/** The topics, and the rights by role. */
function topicsText({ topics, rights }: TopicsView, options: OutputOptions): string {
  const paint = painter(options.color)
  const layout = { width: options.columns, paint }
  const lines = table(
    [
      { title: 'TOPIC' },
      { title: 'PARTITIONS', align: 'right' },
      { title: 'REPLICATION', align: 'right', drops: true },
      { title: 'SETTINGS', shrinks: true, least: 24 },
    ],
    topics.map(({ topic, partitions, replication, settings }) => [
      topic,
      String(partitions),
      replication === null ? 'broker' : String(replication),
      settingsText(settings),
    ]),
    layout,
  )
  for (const [role, title] of Object.entries(ROLES)) {
    const own = rights.filter(right => right.role === role)
    lines.push('', paint('bold', title), ...rightsTable(own, layout))
  }
  lines.push('', paint('dim', '`--commands` prints commands that make all of it, `--json` all settings'))
  return `${lines.join('\n')}\n`
}

function rightsTable(rights: readonly Right[], layout: Parameters<typeof table>[2]): string[] {
  return table(
    [{ title: 'RESOURCE' }, { title: 'NAME', shrinks: true, least: 24 }, { title: 'OPERATIONS' }],
    rights.map(({ resource, name, pattern, operations }) => [
      resource,
      pattern === 'prefixed' ? `${name}*` : name,
      operations.join(', '),
    ]),
    layout,
  )
}

function settingsText(settings: { readonly [name: string]: string }): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

/** A script for a shell. Without `user` each role has a user of its own. */
function topicCommands(
  { prefix, topics, rights }: TopicsView,
  { brokers, user }: { readonly brokers?: string | undefined; readonly user?: string | undefined },
): string {
  const server = `--bootstrap-server ${brokers === undefined ? '"$BROKERS"' : inShell(brokers)}`
  const made = topics.map(({ topic, partitions, replication, settings }) => {
    const replicas = replication === null ? '' : ` --replication-factor ${replication}`
    const configs = Object.entries(settings).map(([name, value]) => ` --config ${name}=${value}`)
    return `kafka-topics.sh ${server} --create --if-not-exists --topic ${topic} --partitions ${partitions}${replicas}${configs.join('')}`
  })
  const granted = rights.map(({ role, resource, name, pattern, operations }) => {
    const principal = `--allow-principal ${inShell(`User:${user ?? `${prefix}-${role}`}`)}`
    const prefixed = pattern === 'prefixed' ? ' --resource-pattern-type prefixed' : ''
    const may = operations.map(operation => ` --operation ${operation}`).join('')
    return `kafka-acls.sh ${server} --add ${principal}${prefixed} --${resource} ${name}${may}`
  })
  return `${[...made, ...new Set(granted)].join('\n')}\n`
}

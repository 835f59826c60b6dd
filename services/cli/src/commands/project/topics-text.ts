/** What `sluice topics --print` prints: tables for people, and commands of Kafka's own tools. */
import type { TopicsView } from '@sluice/contracts/operator-views'
import { inShell } from '../../output/called.ts'
import { painter } from '../../output/paint.ts'
import { table } from '../../output/table.ts'
import type { OutputOptions } from '../../output/wording.ts'

type Right = TopicsView['rights'][number]

const ROLES: { readonly [R in Right['role']]: string } = {
  detector: 'change-detector',
  renderer: 'renderer',
  delivery: 'delivery',
  command: 'sluice, the command',
  console: 'console',
}

/** The topics, and the rights by role. */
export function topicsText({ topics, rights }: TopicsView, options: OutputOptions): string {
  const paint = painter(options.color)
  const of = { width: options.columns, paint }
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
    of,
  )
  for (const [role, title] of Object.entries(ROLES)) {
    const own = rights.filter(right => right.role === role)
    lines.push('', paint('bold', title), ...rightsTable(own, of))
  }
  lines.push('', paint('dim', '`--commands` prints commands that make all of it, `--json` all settings'))
  return `${lines.join('\n')}\n`
}

function rightsTable(rights: readonly Right[], of: Parameters<typeof table>[2]): string[] {
  return table(
    [{ title: 'RESOURCE' }, { title: 'NAME', shrinks: true, least: 24 }, { title: 'OPERATIONS' }],
    rights.map(({ resource, name, pattern, operations }) => [
      resource,
      pattern === 'prefixed' ? `${name}*` : name,
      operations.join(', '),
    ]),
    of,
  )
}

function settingsText(settings: { readonly [name: string]: string }): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

/** A script for a shell. Without `user` each role has a user of its own. */
export function topicCommands(
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

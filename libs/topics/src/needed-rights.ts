/**
 * Lists the least rights on Kafka with which each part does its work, for operators who grant rights by hand.
 * Kafka grants `Describe` with `Read`, `Write` and `Delete`, so `Describe` is listed only without these.
 */
import { detectorGroup, syncGroups, type SyncService, sharedTopics, syncTopics } from './topics.ts'

/** The parts that connect to Kafka. `command` is `sluice` with SLUICE_KAFKA_BROKERS. */
const KAFKA_ROLES = ['detector', 'renderer', 'delivery', 'command', 'console'] as const
export type KafkaRole = (typeof KAFKA_ROLES)[number]

export type Operation =
  'Create' | 'Read' | 'Write' | 'Delete' | 'Describe' | 'DescribeConfigs' | 'AlterConfigs'

export interface NeededRight {
  readonly role: KafkaRole
  readonly resource: 'topic' | 'group' | 'transactional-id'
  readonly name: string
  /** `prefixed`: the right is for all names that begin with this one. */
  readonly pattern: 'literal' | 'prefixed'
  readonly operations: readonly Operation[]
}

/** The parts that read and write a topic. All parts may describe it. */
interface Uses {
  readonly reads: readonly KafkaRole[]
  readonly writes: readonly KafkaRole[]
}

const PEOPLE = ['command', 'console'] as const satisfies readonly KafkaRole[]

const SHARED: { readonly [T in keyof ReturnType<typeof sharedTopics>]: Uses } = {
  resources: { reads: ['detector', 'delivery', ...PEOPLE], writes: ['detector', ...PEOPLE] },
  definitions: { reads: KAFKA_ROLES, writes: ['detector', ...PEOPLE] },
  commands: { reads: ['detector'], writes: PEOPLE },
  runs: { reads: KAFKA_ROLES, writes: ['detector', 'renderer', 'delivery'] },
  secrets: { reads: ['detector', 'delivery', ...PEOPLE], writes: ['delivery', ...PEOPLE] },
  alerts: { reads: PEOPLE, writes: ['console'] },
  tests: { reads: ['delivery', ...PEOPLE], writes: ['delivery', ...PEOPLE] },
}

const OF_SYNC: { readonly [T in keyof ReturnType<typeof syncTopics>]: Uses } = {
  changes: { reads: ['detector', 'renderer', ...PEOPLE], writes: ['detector'] },
  requests: { reads: ['renderer', 'delivery', ...PEOPLE], writes: ['renderer'] },
  attempts: { reads: ['delivery', ...PEOPLE], writes: ['delivery'] },
  retry: { reads: ['detector', ...PEOPLE], writes: ['detector', 'delivery'] },
  captured: { reads: ['detector', ...PEOPLE], writes: ['detector', 'delivery'] },
}

/**
 * Returns the rights of all parts. `creates` adds the rights to make topics and to correct their settings.
 */
export function neededRights(
  prefix: string,
  syncs: readonly string[],
  { creates }: { readonly creates: boolean },
): readonly NeededRight[] {
  return KAFKA_ROLES.flatMap(role => [
    ...named(sharedTopics(prefix)).map(([topic, name]) =>
      topicRight(role, name, { uses: usesOf(SHARED, topic), makes: creates, deletes: false }),
    ),
    ...syncs.flatMap(sync =>
      named(syncTopics(prefix, sync)).map(([topic, name]) => {
        const isDetector = role === 'detector'
        // The detector makes the topics of a sync, drops what is old, and deletes them with a reset.
        return topicRight(role, name, {
          uses: usesOf(OF_SYNC, topic),
          makes: creates && isDetector,
          deletes: isDetector,
        })
      }),
    ),
    ...groupRights(role, prefix, syncs),
    ...writerRights(role, prefix, syncs),
  ])
}

function named(topics: object): readonly (readonly [string, string])[] {
  return Object.entries(topics).map(([topic, name]) => [topic, String(name)])
}

function usesOf(table: { readonly [topic: string]: Uses }, topic: string): Uses {
  return table[topic] ?? { reads: [], writes: [] }
}

function topicRight(
  role: KafkaRole,
  name: string,
  { uses, makes, deletes }: { readonly uses: Uses; readonly makes: boolean; readonly deletes: boolean },
): NeededRight {
  const operations: Operation[] = []
  if (makes) operations.push('Create', 'AlterConfigs')
  if (uses.reads.includes(role)) operations.push('Read')
  if (uses.writes.includes(role)) operations.push('Write')
  if (deletes) operations.push('Delete')
  if (operations.length === 0) operations.push('Describe')
  return { role, resource: 'topic', name, pattern: 'literal', operations: [...operations, 'DescribeConfigs'] }
}

function groupRights(role: KafkaRole, prefix: string, syncs: readonly string[]): readonly NeededRight[] {
  const right = (
    name: string,
    pattern: NeededRight['pattern'],
    operation: Operation = 'Read',
  ): NeededRight => {
    return { role, resource: 'group', name, pattern, operations: [operation] }
  }
  const ofSyncs = (service: SyncService, operation?: Operation): NeededRight[] =>
    syncs.map(sync => right(syncGroups(prefix, service, sync), 'prefixed', operation))
  switch (role) {
    case 'detector':
      return [right(detectorGroup(prefix), 'literal')]
    case 'renderer':
      return ofSyncs(role)
    case 'delivery':
      return [...ofSyncs(role), right(`${prefix}.tests`, 'literal')]
    case 'command':
    case 'console': {
      // These show people which service a run waits for.
      const services = (['renderer', 'delivery'] as const).flatMap(service => ofSyncs(service, 'Describe'))
      const looks = [right(detectorGroup(prefix), 'literal', 'Describe'), ...services]
      return role === 'console' ? [right(`${prefix}.alerts`, 'literal'), ...looks] : looks
    }
    default:
      return role satisfies never
  }
}

/** A writer that fences its predecessor has a transactional id. No part uses transactions. */
function writerRights(role: KafkaRole, prefix: string, syncs: readonly string[]): readonly NeededRight[] {
  const right = (name: string, pattern: NeededRight['pattern']): NeededRight => {
    return { role, resource: 'transactional-id', name, pattern, operations: ['Write'] }
  }
  const ofStage = (stage: string): NeededRight[] =>
    syncs.map(sync => right(`${prefix}.${stage}.${sync}.`, 'prefixed'))
  const ofSecrets = right(`${prefix}.secret.`, 'prefixed')
  switch (role) {
    case 'detector':
      return [...ofStage('changes'), ...syncs.map(sync => right(`${prefix}.incarnation.${sync}`, 'literal'))]
    case 'renderer':
      return ofStage('requests')
    case 'delivery':
      return [...ofStage('attempts'), ofSecrets]
    case 'console':
      return [ofSecrets, right(`${prefix}.resources`, 'literal'), right(`${prefix}.alerts`, 'literal')]
    case 'command':
      return [ofSecrets, right(`${prefix}.resources`, 'literal')]
    default:
      return role satisfies never
  }
}

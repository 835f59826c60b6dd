/** Looks up the members and states of groups, for people who look at them. */
import type { Abort, KafkaCluster } from './cluster.ts'
import { MemberAssignment } from './internals.ts'
import type { GroupState, TopicPartition } from '../../port.ts'

/** One request describes at most this many groups. */
const AT_ONCE = 200
const MAX_GROUPS = 5_000
/** At most this many coordinators are looked up at once. */
const ASKED_AT_ONCE = 20
const STABLE = 'Stable'

export interface GroupMember {
  readonly group: string
  /** The client id of the member's process. */
  readonly client: string
  /** The address from which the member connects. */
  readonly host: string
  readonly partitions: readonly TopicPartition[]
}

interface Brokers {
  readonly brokers: readonly { readonly nodeId: number }[]
}
interface Listed {
  readonly groups: readonly { readonly groupId: string }[]
}
interface DescribedGroup {
  readonly groupId: string
  /** The state as Kafka's protocol names it. A group that nobody ever joined is `Dead`. */
  readonly state: string
  readonly members: readonly {
    readonly clientId: string
    readonly clientHost: string
    readonly memberAssignment: Buffer
  }[]
}

/** Resolves with the members of the groups whose names begin with `prefix`. A rebalancing group has none. */
export async function groupMembers(
  cluster: KafkaCluster,
  prefix: string,
  options: Abort,
): Promise<readonly GroupMember[]> {
  return await cluster.retry('looking at the groups', () => membersNow(cluster, prefix), options)
}

async function membersNow(cluster: KafkaCluster, prefix: string): Promise<readonly GroupMember[]> {
  const args = { topics: [], allowAutoTopicCreation: false }
  const { brokers } = await cluster.callAny<Brokers>({ api: 'Metadata', args })
  const found = await Promise.all(
    brokers.map(async ({ nodeId }) => {
      const { groups } = await cluster.call<Listed>(nodeId, 'main', { api: 'ListGroups', args: {} })
      const own = groups.map(({ groupId }) => groupId).filter(group => group.startsWith(prefix))
      const members: GroupMember[] = []
      for (let from = 0; from < Math.min(own.length, MAX_GROUPS); from += AT_ONCE) {
        const groupIds = own.slice(from, from + AT_ONCE)
        members.push(...(await describe(cluster, nodeId, groupIds)).flatMap(membersOf))
      }
      return members
    }),
  )
  return found.flat()
}

function membersOf({ groupId, state, members }: DescribedGroup): GroupMember[] {
  if (state !== STABLE) return []
  return members.map(({ clientId, clientHost, memberAssignment }) => {
    const assigned = memberAssignment.length === 0 ? null : MemberAssignment.decode(memberAssignment)
    const partitions = Object.entries(assigned?.assignment ?? {}).flatMap(([topic, numbers]) =>
      numbers.map(partition => ({ topic, partition })),
    )
    return { group: groupId, client: clientId, host: clientHost.replace(/^\//, ''), partitions }
  })
}

/** Resolves with the state of each group. It asks each coordinator once for all of its groups. */
export async function groupStates(
  cluster: KafkaCluster,
  groups: readonly string[],
  options: Abort,
): Promise<ReadonlyMap<string, GroupState>> {
  return await cluster.retry(
    'looking up the states of groups',
    async () => {
      const byNode = new Map<number, string[]>()
      for (let from = 0; from < groups.length; from += ASKED_AT_ONCE)
        await Promise.all(
          groups.slice(from, from + ASKED_AT_ONCE).map(async group => {
            const node = await cluster.coordinator('group', group)
            byNode.set(node, [...(byNode.get(node) ?? []), group])
          }),
        )
      const described = await Promise.all(
        [...byNode].map(([node, groupIds]) => describe(cluster, node, groupIds)),
      )
      return new Map(described.flat().map(({ groupId, state }) => [groupId, stateOf(state)]))
    },
    options,
  )
}

function stateOf(state: string): GroupState {
  if (state === STABLE) return 'at-work'
  return state === 'Empty' || state === 'Dead' ? 'empty' : 'rebalancing'
}

async function describe(
  cluster: KafkaCluster,
  node: number,
  groupIds: readonly string[],
): Promise<readonly DescribedGroup[]> {
  const call = { api: 'DescribeGroups', args: { groupIds } } as const
  const { groups } = await cluster.call<{ readonly groups: readonly DescribedGroup[] }>(node, 'main', call)
  return groups
}

/** Who is in the groups of a cluster, for people who look at it. */
import type { Abort, KafkaCluster } from './cluster.ts'
import { MemberAssignment } from './internals.ts'
import type { TopicPartition } from '../../port.ts'

/** Groups that are described in one request. */
const AT_ONCE = 200
/** Most groups that are looked at. */
const MOST = 5_000
const STABLE = 'Stable'

export interface GroupMember {
  readonly group: string
  /** The name that its process gave to Kafka, and where it connects from. */
  readonly client: string
  readonly host: string
  readonly partitions: readonly TopicPartition[]
}

interface Brokers {
  readonly brokers: readonly { readonly nodeId: number }[]
}
interface Listed {
  readonly groups: readonly { readonly groupId: string }[]
}
interface Described {
  readonly groups: readonly {
    readonly groupId: string
    readonly state: string
    readonly members: readonly {
      readonly clientId: string
      readonly clientHost: string
      readonly memberAssignment: Buffer
    }[]
  }[]
}

/** The members of the groups whose names begin with `prefix`. A group that shares out anew has none. */
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
      for (let from = 0; from < Math.min(own.length, MOST); from += AT_ONCE) {
        const groupIds = own.slice(from, from + AT_ONCE)
        const answer = await cluster.call<Described>(nodeId, 'main', {
          api: 'DescribeGroups',
          args: { groupIds },
        })
        members.push(...answer.groups.flatMap(membersOf))
      }
      return members
    }),
  )
  return found.flat()
}

function membersOf({ groupId, state, members }: Described['groups'][number]): GroupMember[] {
  if (state !== STABLE) return []
  return members.map(({ clientId, clientHost, memberAssignment }) => {
    const assigned = memberAssignment.length === 0 ? null : MemberAssignment.decode(memberAssignment)
    const partitions = Object.entries(assigned?.assignment ?? {}).flatMap(([topic, numbers]) =>
      numbers.map(partition => ({ topic, partition })),
    )
    return { group: groupId, client: clientId, host: clientHost.replace(/^\//, ''), partitions }
  })
}

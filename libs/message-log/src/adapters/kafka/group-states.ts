/** Whether anybody is at work in a group, as its coordinator says. */
import type { GroupState } from '../../port.ts'
import type { Abort, KafkaCluster } from './cluster.ts'

/** Most coordinators that are looked for at once. */
const ASKED_AT_ONCE = 20

interface DescribedGroup {
  readonly groupId: string
  /** The name of Kafka's protocol. A group that nobody ever joined is `Dead`. */
  readonly state: string
}

/** Asks each coordinator once for all of its groups. */
export async function groupStates(
  cluster: KafkaCluster,
  groups: readonly string[],
  options: Abort,
): Promise<ReadonlyMap<string, GroupState>> {
  return await cluster.retry(
    'looking up who is at work',
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
        [...byNode].map(async ([node, groupIds]) => {
          const args = { groupIds }
          return await cluster.call<{ groups: readonly DescribedGroup[] }>(node, 'main', {
            api: 'DescribeGroups',
            args,
          })
        }),
      )
      return new Map(
        described.flatMap(answer => answer.groups.map(({ groupId, state }) => [groupId, stateOf(state)])),
      )
    },
    options,
  )
}

function stateOf(state: string): GroupState {
  if (state === 'Stable') return 'at-work'
  return state === 'Empty' || state === 'Dead' ? 'empty' : 'rebalancing'
}

import type { TopicPartition } from '../../port.ts'

/** A member's claim, which it sends when it joins. */
export interface MemberClaim {
  readonly memberId: string
  readonly topics: readonly string[]
  /** The partitions that the member owned last, in `generation`. */
  readonly owned: readonly TopicPartition[]
  readonly generation: number
}

const keyOf = ({ topic, partition }: TopicPartition) => `${topic} ${partition}`

/**
 * Shares out partitions evenly, and moves a partition only if it has to. A member keeps its partitions up to
 * its share. The remaining partitions go to the members with the fewest. If two members claim the same
 * partition, the claim of the later generation counts, since the other member missed a rebalance. The
 * function is pure and deterministic, so every member would decide the same.
 */
export function assignSticky(
  members: readonly MemberClaim[],
  partitions: readonly TopicPartition[],
): Map<string, TopicPartition[]> {
  const assigned = new Map<string, TopicPartition[]>(
    members
      .map(({ memberId }) => memberId)
      .toSorted()
      .map(memberId => [memberId, []]),
  )
  const subscribed = new Map(members.map(({ memberId, topics }) => [memberId, new Set(topics)]))
  const wanted = partitions.filter(({ topic }) => members.some(member => member.topics.includes(topic)))
  const claims = claimsByPartition(members)
  const kept = new Map<string, TopicPartition[]>([...assigned.keys()].map(memberId => [memberId, []]))
  const free: TopicPartition[] = []
  for (const partition of wanted) {
    const owner = claims.get(keyOf(partition))
    const keeps = owner !== undefined && subscribed.get(owner)?.has(partition.topic) === true
    if (keeps) kept.get(owner)?.push(partition)
    else free.push(partition)
  }
  // The larger shares go to the members that own most, so that the fewest partitions move.
  const byLoad = [...kept].toSorted(([a, ofA], [b, ofB]) => ofB.length - ofA.length || (a < b ? -1 : 1))
  const share = Math.floor(wanted.length / Math.max(members.length, 1))
  let larger = wanted.length - share * members.length
  for (const [memberId, owned] of byLoad) {
    const limit = owned.length > share && larger > 0 ? share + 1 : share
    if (limit > share) larger -= 1
    assigned.get(memberId)?.push(...owned.slice(0, limit))
    free.push(...owned.slice(limit))
  }
  for (const partition of free) giveToLeastLoaded(partition, { assigned, subscribed })
  return assigned
}

function claimsByPartition(members: readonly MemberClaim[]): Map<string, string> {
  const best = new Map<string, { memberId: string; generation: number }>()
  for (const { memberId, owned, generation } of members) {
    for (const partition of owned) {
      const known = best.get(keyOf(partition))
      if (known === undefined || generation > known.generation)
        best.set(keyOf(partition), { memberId, generation })
    }
  }
  return new Map([...best].map(([key, { memberId }]) => [key, memberId]))
}

function giveToLeastLoaded(
  partition: TopicPartition,
  state: { assigned: Map<string, TopicPartition[]>; subscribed: ReadonlyMap<string, ReadonlySet<string>> },
): void {
  let least: TopicPartition[] | null = null
  for (const [memberId, owned] of state.assigned) {
    if (state.subscribed.get(memberId)?.has(partition.topic) !== true) continue
    if (least === null || owned.length < least.length) least = owned
  }
  least?.push(partition)
}

/** Encodes a claim. Only members read these bytes. Kafka passes them on unread. */
export function encodeClaim(claim: { owned: readonly TopicPartition[]; generation: number }): Buffer {
  const owned = claim.owned.map(({ topic, partition }) => [topic, partition])
  return Buffer.from(JSON.stringify({ generation: claim.generation, owned }))
}

/** Decodes a claim. Any other bytes claim nothing. */
export function decodeClaim(bytes: Uint8Array | null): { owned: TopicPartition[]; generation: number } {
  const nothing = { owned: [], generation: -1 }
  if (bytes === null || bytes.length === 0) return nothing
  try {
    const claim: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (typeof claim !== 'object' || claim === null) return nothing
    if (!('generation' in claim) || typeof claim.generation !== 'number') return nothing
    if (!('owned' in claim) || !Array.isArray(claim.owned)) return nothing
    const owned = claim.owned.flatMap((entry: unknown) => {
      if (!Array.isArray(entry)) return []
      const [topic, partition] = entry as unknown[]
      return typeof topic === 'string' && typeof partition === 'number' ? [{ topic, partition }] : []
    })
    return { owned, generation: claim.generation }
  } catch {
    return nothing
  }
}

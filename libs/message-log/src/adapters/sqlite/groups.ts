/** Group membership within one process, without heartbeats and time-outs. A member stays until it leaves. */
import { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { Assignment, Membership, TopicPartition } from '../../port.ts'
import type { SqliteCore } from './core.ts'
import type { SqliteQueue } from './queue.ts'

const NEVER = new AbortController().signal

interface Claim {
  readonly target: TopicPartition
  owner: Member
}

/**
 * Shares out partitions evenly. An owner keeps its partition unless another member has at least two fewer.
 * `members` are in the order in which they joined.
 */
function share(
  targets: readonly TopicPartition[],
  members: readonly Member[],
  before: readonly Claim[],
): Claim[] {
  const loads = new Map(members.map(member => [member, 0]))
  const load = (member: Member) => loads.get(member) ?? 0
  const add = (member: Member, count: number) => loads.set(member, load(member) + count)
  const owners = new Map(before.map(({ target, owner }) => [nameOf(target), owner]))
  const claims: Claim[] = []
  const free: TopicPartition[] = []
  for (const target of targets) {
    const owner = owners.get(nameOf(target))
    if (owner === undefined || !loads.has(owner) || !owner.topics.has(target.topic)) free.push(target)
    else {
      claims.push({ target, owner })
      add(owner, 1)
    }
  }
  const lightest = (topic: string) =>
    members
      .filter(m => m.topics.has(topic))
      .reduce<Member | null>((a, b) => (a !== null && load(a) <= load(b) ? a : b), null)
  for (const target of free) {
    const owner = lightest(target.topic)
    if (owner === null) continue
    claims.push({ target, owner })
    add(owner, 1)
  }
  for (let moved = true; moved;) {
    moved = false
    for (const claim of claims.toReversed()) {
      const taker = lightest(claim.target.topic)
      if (taker === null || load(claim.owner) - load(taker) < 2) continue
      add(claim.owner, -1)
      add(taker, 1)
      claim.owner = taker
      moved = true
    }
  }
  return claims
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

class Member {
  readonly topics: ReadonlySet<string>
  readonly changes = new Notifier()
  assignment: Assignment | null = null
  left = false

  constructor(topics: ReadonlySet<string>) {
    this.topics = topics
  }

  owns(target: TopicPartition): boolean {
    return this.assignment?.partitions.some(own => nameOf(own) === nameOf(target)) ?? false
  }
}

interface Group {
  members: Member[]
  claims: Claim[]
  generation: number
}

/**
 * All groups of one file. After every change of members or topics, they share out the partitions again at
 * once.
 */
export class SqliteGroups {
  readonly #core: SqliteCore
  readonly #queue: SqliteQueue
  readonly #groups = new Map<string, Group>()

  constructor(core: SqliteCore, queue: SqliteQueue) {
    this.#core = core
    this.#queue = queue
  }

  /** Calls `onLeave` once the member has left. Throws `not-found` for a topic that does not exist. */
  join(name: string, topics: readonly string[], onLeave: () => void): SqliteMembership {
    for (const topic of topics) {
      if (this.#core.topic(topic) === undefined)
        throw new SluiceError('not-found', `there is no topic ${topic}`)
    }
    const group = this.#groups.get(name) ?? { members: [], claims: [], generation: 0 }
    this.#groups.set(name, group)
    const member = new Member(new Set(topics))
    group.members.push(member)
    this.#shareOut(group)
    return new SqliteMembership({
      queue: this.#queue,
      group: name,
      member,
      leave: () => {
        this.#leave(name, member)
        onLeave()
      },
    })
  }

  hasMembers(name: string): boolean {
    return this.#groups.has(name)
  }

  /** Shares out again after topics were made or deleted. */
  topicsChanged(): void {
    for (const group of this.#groups.values()) this.#shareOut(group)
  }

  #leave(name: string, member: Member): void {
    if (member.left) return
    member.left = true
    member.changes.notify()
    const group = this.#groups.get(name)
    if (group === undefined) return
    group.members = group.members.filter(other => other !== member)
    if (group.members.length === 0) this.#groups.delete(name)
    else this.#shareOut(group)
  }

  #shareOut(group: Group): void {
    const topics = new Set(group.members.flatMap(member => [...member.topics]))
    const targets = [...topics].flatMap(topic =>
      (this.#core.topic(topic)?.partitions ?? []).map(({ partition }) => ({ topic, partition })),
    )
    group.claims = share(targets, group.members, group.claims)
    group.generation += 1
    for (const member of group.members) {
      const partitions = group.claims.filter(claim => claim.owner === member).map(claim => claim.target)
      partitions.sort((a, b) =>
        a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
      )
      const before = member.assignment?.partitions.map(nameOf).join()
      // A member that keeps its partitions gets no new assignment, as if there had been no rebalance.
      if (before === partitions.map(nameOf).join()) continue
      member.assignment = { generation: group.generation, partitions }
      member.changes.notify()
    }
  }
}

export class SqliteMembership implements Membership {
  readonly #queue: SqliteQueue
  readonly #group: string
  readonly #member: Member
  readonly #leave: () => void
  #leftAtMs: number | null = null

  constructor(options: { queue: SqliteQueue; group: string; member: Member; leave: () => void }) {
    this.#queue = options.queue
    this.#group = options.group
    this.#member = options.member
    this.#leave = options.leave
  }

  /** The present time until the member leaves, since there is no coordinator that could stop answering. */
  get lastHeartbeatMs(): number {
    return this.#leftAtMs ?? elapsedMs()
  }

  commit(target: TopicPartition, nextOffset: number, options: { signal: AbortSignal }): Promise<boolean> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (this.#member.left) return resolve(false)
      const onAbort = () => {
        operation.cancelled = true
        reject(signal.reason)
      }
      const operation = this.#queue.commit({
        group: this.#group,
        target,
        next: nextOffset,
        accepted: () => !this.#member.left && this.#member.owns(target),
        resolve: accepted => {
          signal.removeEventListener('abort', onAbort)
          resolve(accepted)
        },
        reject: error => {
          signal.removeEventListener('abort', onAbort)
          reject(error)
        },
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  async leave(): Promise<void> {
    this.#leftAtMs ??= elapsedMs()
    this.#leave()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Assignment, void, void> {
    let shown: Assignment | null = null
    for (;;) {
      const seen = this.#member.changes.version
      if (this.#member.left) return
      const { assignment } = this.#member
      if (assignment !== null && assignment !== shown) {
        shown = assignment
        yield assignment
      } else await this.#member.changes.after(seen, { signal: NEVER })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave()
  }
}

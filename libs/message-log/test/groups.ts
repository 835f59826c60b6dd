import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import type { MessageLog } from '../src/port.ts'
import { isShared, until, Watched, type Fixture, type Signalled } from './fixture.ts'

export function groupContract(fixture: Fixture): void {
  sharing(fixture)
  committing(fixture)
}

interface Joining extends Signalled {
  readonly group: string
  readonly topics: readonly string[]
  readonly changes: Notifier
}

async function join(log: MessageLog, options: Joining): Promise<Watched> {
  return new Watched(await log.join(options.group, options.topics, options), options.changes)
}

async function joining(fixture: Fixture, options: Signalled, partitions: number): Promise<Joining> {
  const topic = await fixture.topic(options, { partitions })
  return { ...options, group: fixture.name('group'), topics: [topic], changes: new Notifier() }
}

function sharing(fixture: Fixture): void {
  test('a lone member gets every partition of every topic', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 3)
    const other = await fixture.topic({ signal }, { partitions: 2 })
    const topics = [...options.topics, other]
    await using member = await join(fixture.log, { ...options, topics })
    await until(options.changes, { signal }, () => member.owned.length > 0)
    const wanted = [...[0, 1, 2].map(p => `${options.topics.join()}/${p}`), `${other}/0`, `${other}/1`]
    expect(member.owned).toEqual(wanted.toSorted())
  })

  test('members share evenly, and a partition moves only if it has to', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 6)
    await using second = await fixture.harness.open()
    await using third = await fixture.harness.open()
    await using a = await join(fixture.log, options)
    await until(options.changes, { signal }, () => isShared([a], 6))
    await using b = await join(second, options)
    await until(options.changes, { signal }, () => isShared([a, b], 6))
    const before = { a: a.owned, b: b.owned }
    const c = await join(third, options)
    await until(options.changes, { signal }, () => isShared([a, b, c], 6))
    for (const partition of a.owned) expect(before.a).toContain(partition)
    for (const partition of b.owned) expect(before.b).toContain(partition)
    const between = { a: a.owned, b: b.owned }
    await c[Symbol.asyncDispose]()
    await until(options.changes, { signal }, () => isShared([a, b], 6))
    for (const partition of between.a) expect(a.owned).toContain(partition)
    for (const partition of between.b) expect(b.owned).toContain(partition)
  })

  test('a group has somebody at work from the first join until the last member leaves', async ({
    signal,
  }) => {
    const options = await joining(fixture, { signal }, 2)
    const { group } = options
    const never = fixture.name('group')
    const stateOf = async () => (await fixture.log.groupStates([group, never], { signal })).get(group)
    expect(await stateOf()).toBe('empty')
    const a = await join(fixture.log, options)
    await until(options.changes, { signal }, () => isShared([a], 2))
    // A coordinator may take a moment from the answer to the last member to the state.
    await expect.poll(stateOf).toBe('at-work')
    const b = await join(fixture.log, options)
    await until(options.changes, { signal }, () => isShared([a, b], 2))
    await a[Symbol.asyncDispose]()
    await until(options.changes, { signal }, () => isShared([b], 2))
    await expect.poll(stateOf).toBe('at-work')
    await b[Symbol.asyncDispose]()
    const states = await fixture.log.groupStates([group, never], { signal })
    expect(Object.fromEntries(states)).toEqual({ [group]: 'empty', [never]: 'empty' })
    expect(await fixture.log.groupStates([], { signal })).toEqual(new Map())
  })

  test('a member without partitions gets some once another member leaves', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 2)
    const members: Watched[] = []
    for (let i = 0; i < 3; i += 1) {
      members.push(await join(fixture.log, options))
      await until(options.changes, { signal }, () => isShared(members, 2))
    }
    const [leaver] = members.filter(member => member.owned.length > 0)
    const stayers = members.filter(member => member !== leaver)
    await leaver?.[Symbol.asyncDispose]()
    await until(options.changes, { signal }, () => isShared(stayers, 2))
    for (const member of stayers) await member[Symbol.asyncDispose]()
  })

  test('generations grow within a membership', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 4)
    await using a = await join(fixture.log, options)
    await until(options.changes, { signal }, () => isShared([a], 4))
    for (let i = 0; i < 2; i += 1) {
      await using b = await join(fixture.log, options)
      await until(options.changes, { signal }, () => isShared([a, b], 4))
    }
    await until(options.changes, { signal }, () => isShared([a], 4))
    const generations = a.seen.map(({ generation }) => generation)
    expect(generations.length).toBeGreaterThanOrEqual(3)
    expect(generations).toEqual([...new Set(generations)].toSorted((x, y) => x - y))
  })

  test('a member that takes assignments late gets only the latest one', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 4)
    await using idle = await fixture.log.join(options.group, options.topics, { signal })
    const iteration = idle[Symbol.asyncIterator]()
    const owned = async () => {
      const step = await iteration.next()
      return step.done === true ? null : step.value.partitions.length
    }
    expect(await owned()).toBe(4)
    const other = await join(fixture.log, options)
    await until(options.changes, { signal }, () => other.owned.length === 2)
    await other[Symbol.asyncDispose]()
    await using last = await join(fixture.log, options)
    await until(options.changes, { signal }, () => last.owned.length === 2)
    // One step may give the assignment that held when it began. The next step gives the present one.
    const seen = await owned()
    expect(seen === 2 || (await owned()) === 2).toBe(true)
  })

  test('groups of other names share nothing', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 2)
    await using a = await join(fixture.log, options)
    await using b = await join(fixture.log, { ...options, group: fixture.name('group') })
    await until(options.changes, { signal }, () => a.owned.length === 2 && b.owned.length === 2)
  })

  test('leaving ends the iteration, and leaving again does nothing', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 1)
    const member = await join(fixture.log, options)
    await until(options.changes, { signal }, () => member.owned.length === 1)
    await member.membership.leave()
    expect(await member.ended).toBeNull()
    await member.membership.leave()
    const again = member.membership[Symbol.asyncIterator]()
    expect((await again.next()).done).toBe(true)
  })

  test('a member that left before it took an assignment gets none', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 1)
    const membership = await fixture.log.join(options.group, options.topics, { signal })
    await membership.leave()
    for await (const _ of membership) throw new Error('there was an assignment')
    await using next = await join(fixture.log, options)
    await until(options.changes, { signal }, () => next.owned.length === 1)
  })
}

function committing(fixture: Fixture): void {
  test('commits are hints by group and partition, and null if there is none', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 3)
    const [topic] = options.topics
    if (topic === undefined) throw new Error('no topic')
    const target = { topic, partition: 1 }
    expect(await fixture.log.committed(options.group, topic, { signal })).toEqual([null, null, null])
    await using other = await fixture.harness.open()
    {
      await using member = await join(fixture.log, options)
      await until(options.changes, { signal }, () => member.owned.length === 3)
      expect(await member.membership.commit(target, 5, { signal })).toBe(true)
      expect(await member.membership.commit(target, 9, { signal })).toBe(true)
      expect(await member.membership.commit({ topic, partition: 2 }, 0, { signal })).toBe(true)
      expect(await other.committed(options.group, topic, { signal })).toEqual([null, 9, 0])
    }
    expect(await other.committed(options.group, topic, { signal })).toEqual([null, 9, 0])
    expect(await other.committed(fixture.name('group'), topic, { signal })).toEqual([null, null, null])
  })

  test('forgotten commits are null, and reading by offset does not depend on them', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 1)
    const [topic] = options.topics
    if (topic === undefined) throw new Error('no topic')
    {
      await using member = await join(fixture.log, options)
      await until(options.changes, { signal }, () => member.owned.length === 1)
      expect(await member.membership.commit({ topic, partition: 0 }, 7, { signal })).toBe(true)
    }
    await fixture.harness.forgetGroup(options.group)
    expect(await fixture.log.committed(options.group, topic, { signal })).toEqual([null])
    await using member = await join(fixture.log, options)
    await until(options.changes, { signal }, () => member.owned.length === 1)
    expect(await member.membership.commit({ topic, partition: 0 }, 1, { signal })).toBe(true)
    expect(await fixture.log.committed(options.group, topic, { signal })).toEqual([1])
  })

  test('a commit proves membership: true for a member, false once it has left', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 2)
    const [topic] = options.topics
    if (topic === undefined) throw new Error('no topic')
    const target = { topic, partition: 0 }
    const member = await join(fixture.log, options)
    await until(options.changes, { signal }, () => member.owned.length === 2)
    const since = performance.now()
    expect(await member.membership.commit(target, 1, { signal })).toBe(true)
    await member[Symbol.asyncDispose]()
    expect(await member.membership.commit(target, 2, { signal })).toBe(false)
    expect(await fixture.log.committed(options.group, topic, { signal })).toEqual([1, null])
    expect(member.membership.lastHeartbeatMs).toBeGreaterThan(since - 10_000)
    expect(member.membership.lastHeartbeatMs).toBeLessThanOrEqual(performance.now())
  })

  test('commits of a topic are gone with the topic', async ({ signal }) => {
    const options = await joining(fixture, { signal }, 1)
    const [topic] = options.topics
    if (topic === undefined) throw new Error('no topic')
    {
      await using member = await join(fixture.log, options)
      await until(options.changes, { signal }, () => member.owned.length === 1)
      await member.membership.commit({ topic, partition: 0 }, 7, { signal })
    }
    await fixture.log.deleteTopics([topic], { signal })
    await fixture.log.ensureTopics([{ topic, partitions: 1, cleanup: 'delete' }], { signal })
    expect(await fixture.log.committed(options.group, topic, { signal })).toEqual([null])
  })
}

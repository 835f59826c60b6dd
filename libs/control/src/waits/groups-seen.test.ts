import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { GroupState } from '@sluice/message-log/port'
import { GroupsSeen } from './groups-seen.ts'

const { signal } = new AbortController()

/** A log whose coordinators answer as the test says, and the times of a clock that it sets. */
function world(): {
  readonly asked: (readonly string[])[]
  readonly states: Map<string, GroupState | Error>
  readonly told: string[]
  readonly clock: { ms: number }
  readonly seen: GroupsSeen
} {
  const asked: (readonly string[])[] = []
  const states = new Map<string, GroupState | Error>()
  const told: string[] = []
  const clock = { ms: 100_000 }
  const groupStates = (groups: readonly string[]): Promise<ReadonlyMap<string, GroupState>> => {
    asked.push(groups)
    const found = new Map<string, GroupState>()
    for (const group of groups) {
      const state = states.get(group) ?? 'empty'
      if (state instanceof Error) return Promise.reject(state)
      found.set(group, state)
    }
    return Promise.resolve(found)
  }
  const logger = { info: (...said: readonly unknown[]) => void told.push(String(said[1])) }
  const clocks = { steadyMs: () => clock.ms, wallMs: () => clock.ms }
  return { asked, states, told, clock, seen: new GroupsSeen({ log: { groupStates }, logger }, clocks) }
}

describe('groups', () => {
  it('are asked for together, and again only after a while', async () => {
    const { asked, clock, seen } = world()
    await Promise.all([seen.look(['a'], signal), seen.look(['b', 'a'], signal)])
    expect(asked).toEqual([['a', 'b']])
    clock.ms += 300
    await seen.look(['a', 'b'], signal)
    expect(asked).toHaveLength(1)
    clock.ms += 200
    await seen.look(['a'], signal)
    expect(asked).toEqual([['a', 'b'], ['a']])
  })

  it('are asked for less often where there are many', async () => {
    const { asked, clock, seen } = world()
    const many = Array.from({ length: 400 }, (_, index) => `g${index}`)
    await seen.look(many, signal)
    clock.ms += 2_000
    await seen.look(many, signal)
    expect(asked).toHaveLength(1)
    clock.ms += 2_000
    await seen.look(many, signal)
    expect(asked).toHaveLength(2)
  })

  it('are in a state since it was first seen', async () => {
    const { states, clock, seen } = world()
    const look = async (): Promise<unknown> => (await seen.look(['a'], signal)).get('a')
    expect(await look()).toMatchObject({ state: 'empty', since: 100_000, isFirst: true })
    clock.ms += 600
    expect(await look()).toMatchObject({ state: 'empty', since: 100_000, isFirst: true })
    states.set('a', 'at-work')
    clock.ms += 600
    expect(await look()).toMatchObject({ state: 'at-work', since: 101_200, isFirst: false })
    states.set('a', 'empty')
    clock.ms += 600
    expect(await look()).toMatchObject({ state: 'empty', since: 101_800, isFirst: false })
    clock.ms += 11_000
    expect(await look()).toMatchObject({ since: 112_800, isFirst: true })
  })

  it('are not known while the log does not answer, nor to a user without the right, who is told once', async () => {
    const { asked, states, told, clock, seen } = world()
    states.set('a', new SluiceError('unreachable', 'no broker', { retryable: true }))
    expect((await seen.look(['a'], signal)).has('a')).toBe(false)
    clock.ms += 1_000
    await seen.look(['a'], signal)
    expect([asked.length, told]).toEqual([1, []])
    states.set('a', new SluiceError('config', 'no right'))
    for (let looks = 0; looks < 3; looks += 1) {
      clock.ms += 60_000
      await seen.look(['a'], signal)
    }
    expect([asked.length, told]).toEqual([4, ['nobody is told which services are not at work']])
    states.set('a', new TypeError('a bug'))
    clock.ms += 60_000
    await expect(seen.look(['a'], signal)).rejects.toThrow('a bug')
  })
})

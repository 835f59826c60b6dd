import { describe, expect, it } from 'vitest'
import type { RunCause, RunScope } from '@sluice/contracts/records'
import { joinQueued } from './join-queued.ts'
import { queuedRun } from './run-events.ts'

function asked(cause: RunCause, as: RunScope['as'] = null) {
  const scope = as === null ? null : { as, key: null, status: null }
  return queuedRun({ runId: `RUN-${cause}`, cause, scope, command: 1, partitions: 1, at: 1 })
}

function retryOf(key: string | null, status: number | null = null) {
  return { ...asked('retry'), scope: { as: null, key, status } }
}

describe('a run that is asked for while others are queued', () => {
  it.each([
    ['manual', 'schedule'],
    ['schedule', 'manual'],
    ['retry', 'manual'],
    ['resync', 'manual'],
  ] as const)('is one with that of cause %s, where that does all that %s would', (queued, cause) => {
    const first = asked(queued, queued === 'resync' ? 'added' : null)
    expect(joinQueued([asked('discard'), first], asked(cause))).toBe(first)
  })

  it('that is about another group of failed rows waits beside the first', () => {
    const group = (id: string) => ({
      ...asked('discard'),
      scope: { as: null, key: null, status: 0, group: id },
    })
    const queued = { ...group('3f2a91c07b1e.4000-3'), upTo: 4 }
    expect(joinQueued([queued], { ...group('3f2a91c07b1e.4000-3'), upTo: 4 })).toBe(queued)
    expect(joinQueued([queued], { ...group('0c07b1e3f2a9.4000-3'), upTo: 4 })).toBeNull()
    expect(joinQueued([queued], { ...asked('discard'), upTo: 4 })).toBeNull()
  })

  it('that decides the same as another is one with it, about what the later one is about', () => {
    for (const same of [asked('retry'), retryOf('5', 422), asked('discard'), asked('resync', 'changed')]) {
      const queued = { ...same, upTo: 4 }
      expect(joinQueued([queued], { ...same, runId: 'LATER', upTo: 4 })).toBe(queued)
      expect(joinQueued([queued], { ...same, runId: 'EARLIER', upTo: 2 })).toBe(queued)
      expect(joinQueued([queued], { ...same, runId: 'LATER', upTo: 6 })).toEqual({ ...queued, upTo: 6 })
    }
  })

  it('that decides the same over a stream is about the later slice of each partition', () => {
    const queued = { ...asked('discard'), upTo: 4, upToSlices: [3, 9] }
    const joined = (upTo: number, upToSlices: readonly number[] | null) => {
      const run = joinQueued([queued], { ...asked('discard'), runId: 'LATER', upTo, upToSlices })
      return [run?.upTo, run?.upToSlices, run === queued]
    }
    expect(joined(4, [3, 8])).toEqual([4, [3, 9], true])
    expect(joined(4, [5, 8])).toEqual([4, [5, 9], false])
    expect(joined(5, [1, 1])).toEqual([5, [1, 1], false])
    expect(joined(4, null)).toEqual([4, null, false])
    expect(joined(3, [7, 7])).toEqual([4, [3, 9], true])
  })

  it('is queued beside one that does something else', () => {
    const apart = (queued: ReturnType<typeof asked>, other: ReturnType<typeof asked>): boolean =>
      joinQueued([queued], other) === null
    expect(apart(asked('discard'), asked('manual'))).toBe(true)
    expect(apart(asked('discard'), retryOf('5'))).toBe(true)
    expect(apart(asked('manual'), asked('retry'))).toBe(true)
    expect(apart(asked('manual'), retryOf('5'))).toBe(true)
    expect(apart(asked('retry'), retryOf('5'))).toBe(true)
    expect(apart(asked('resync', 'added'), asked('retry'))).toBe(true)
    expect(apart(retryOf('5'), retryOf('6'))).toBe(true)
    expect(apart(retryOf('5'), retryOf(null, 422))).toBe(true)
    expect(apart(retryOf('5'), asked('manual'))).toBe(true)
    expect(apart(asked('manual'), asked('resync', 'added'))).toBe(true)
    expect(apart(asked('manual'), asked('discard'))).toBe(true)
    for (const other of ['manual', 'resync', 'discard', 'replay'] as const) {
      expect(apart(asked('replay'), asked(other))).toBe(true)
      expect(apart(asked(other), asked('replay'))).toBe(true)
    }
    expect(apart(asked('reset'), asked('resync', 'added'))).toBe(true)
    expect(apart(asked('resync', 'added'), asked('resync', 'changed'))).toBe(true)
  })
})

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

describe('a run that is asked for while one is queued', () => {
  it.each([
    ['manual', 'schedule'],
    ['retry', 'manual'],
    ['resync', 'manual'],
  ] as const)(
    'of cause %s is one with the queued one, where that does all that %s would',
    (queued, cause) => {
      const first = asked(queued, queued === 'resync' ? 'added' : null)
      expect(joinQueued(first, asked(cause))).toEqual({ kind: 'joined', queued: first })
    },
  )

  it('to resync makes a resync of the queued one', () => {
    const joined = joinQueued(asked('manual'), asked('resync', 'changed'))
    expect(joined).toMatchObject({
      kind: 'joined',
      queued: { runId: 'RUN-manual', cause: 'resync', scope: { as: 'changed' } },
    })
  })

  it('to try all rows again that failed makes a retry of the queued one, which may leave some out', () => {
    const joined = joinQueued(asked('manual'), asked('retry'))
    expect(joined).toEqual({ kind: 'joined', queued: { ...asked('manual'), cause: 'retry' } })
  })

  it('to try some rows again is one with a queued one that does so', () => {
    for (const queued of [asked('manual'), asked('retry'), asked('resync', 'added'), retryOf('5', 422)])
      expect(joinQueued(queued, retryOf('5', 422))).toEqual({ kind: 'joined', queued })
  })

  it('is refused where the queued one does something else', () => {
    const refused = (queued: ReturnType<typeof asked>, other: ReturnType<typeof asked>): boolean =>
      joinQueued(queued, other).kind === 'refused'
    expect(refused(asked('discard'), asked('manual'))).toBe(true)
    expect(refused(asked('discard'), retryOf('5'))).toBe(true)
    expect(refused(retryOf('5'), retryOf('6'))).toBe(true)
    expect(refused(retryOf('5'), retryOf(null, 422))).toBe(true)
    expect(refused(retryOf('5'), asked('manual'))).toBe(true)
    expect(refused(retryOf('5'), asked('resync', 'added'))).toBe(true)
    expect(refused(asked('manual'), asked('discard'))).toBe(true)
    expect(refused(asked('discard'), asked('discard'))).toBe(true)
    for (const other of ['manual', 'resync', 'discard', 'replay'] as const) {
      expect(refused(asked('replay'), asked(other))).toBe(true)
      expect(refused(asked(other), asked('replay'))).toBe(true)
    }
    expect(refused(asked('reset'), asked('resync', 'added'))).toBe(true)
    expect(refused(asked('resync', 'added'), asked('resync', 'changed'))).toBe(true)
  })
})

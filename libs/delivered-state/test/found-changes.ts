/** A run finds these changes, for rows good and bad. */
import { describe, expect, it } from 'vitest'
import type { Op } from '@sluice/contracts/state'
import { reasonHash } from '@sluice/domain/answers/failed-group'
import type { MeantRows } from '../src/port.ts'
import { type DeliveredStateHarness, TIMEOUT } from './harness.ts'
import { brief, entryOf, SINCE, ONE, Played } from './played.ts'

export function foundChangesSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: what a run finds`, TIMEOUT, () => {
    it('is every row as added at first, and nothing once delivered', async () => {
      const played = await Played.open(harness())
      const { diff, changes } = await played.run("SELECT '1' AS id, 10 AS v UNION ALL SELECT '2', NULL")
      expect(brief(changes)).toEqual([
        ['added', '1', null, 10],
        ['added', '2', null, null],
      ])
      expect(diff).toMatchObject({ rowsRead: 2, rowsInvalid: 0, settled: 0, keysBefore: 0 })
      expect(diff.counts.added?.detected).toBe(2)
      const again = await played.diff("SELECT '1' AS id, 10 AS v UNION ALL SELECT '2', NULL")
      expect(again.changes).toEqual([])
      expect(again.diff.keysBefore).toBe(2)
      await played.state[Symbol.asyncDispose]()
    })

    it('comes in the order settled, removed, changed, added, and within each in that of the query', async () => {
      const played = await Played.open(harness())
      const row = (id: string, v: number) => `SELECT '${id}' AS id, ${v} AS v`
      await played.run(
        [row('r2', 1), row('r1', 1), row('c2', 1), row('c1', 1), row('s', 1)].join(' UNION ALL '),
      )
      const second = [row('a2', 1), row('a1', 1), row('c2', 2), row('c1', 2), row('s', 2)].join(' UNION ALL ')
      await played.run(
        row('s', 1) +
          ' UNION ALL ' +
          [row('r2', 1), row('r1', 1), row('c2', 1), row('c1', 1)].join(' UNION ALL '),
        'rejected',
      )
      await played.run(second.replace(row('s', 2), row('s', 2)), 'rejected')
      const { changes } = await played.diff(second.replace(row('s', 2), row('s', 1)))
      const found = changes.map(change => `${change.op} ${change.key}`)
      // The query says nothing of rows that are gone.
      expect(found.slice(1, 3).sort()).toEqual(['removed r1', 'removed r2'])
      expect(found.toSpliced(1, 2)).toEqual(['settled s', 'changed c2', 'changed c1', 'added a2', 'added a1'])
      await played.state[Symbol.asyncDispose]()
    })

    it('is sent again, with what is retried and with the row as it is now', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      const { changes } = await played.diff(ONE.replace('10', '11'))
      expect(brief(changes)).toEqual([['added', '1', null, 11]])
      expect(changes[0]?.retried).toEqual({
        idempotencyKey: 'once',
        outcome: 'rejected',
        answered: false,
        requestHash: 'abc',
        requestRows: 1,
        attempts: 2,
        runs: 1,
        since: 1_700_000_000_000,
      })
      await played.state[Symbol.asyncDispose]()
    })

    it('is passed over once it is discarded, until it differs or all rows are sent again', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      const discard = { kind: 'discard', key: null, status: null } as const
      const { changes } = await played.run(ONE, 'delivered', { purpose: discard })
      expect(changes).toMatchObject([{ op: 'settled', settledState: 'absent', muted: expect.anything() }])
      expect((await played.diff(ONE)).changes).toEqual([])
      expect((await played.diff(ONE.replace('10', '11'))).changes).toMatchObject([{ op: 'added' }])
      const resync = { kind: 'resync', as: 'added' } as const
      expect((await played.diff(ONE, { purpose: resync })).changes).toMatchObject([{ op: 'added' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('is not discarded by an entry of an earlier run, since it has changed after that', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      await played.run(ONE.replace('10', '11'))
      await played.feedRetry('1', entryOf('added', 'rejected', { run: 1, seq: 0 }))
      await played.state.commit()
      const discard = { kind: 'discard', key: null, status: null } as const
      const edited = await played.diff(ONE.replace('10', '12'), { purpose: discard })
      expect(edited.changes).toEqual([])
      const same = await played.diff(ONE.replace('10', '11'), { purpose: discard })
      expect(same.changes).toMatchObject([{ op: 'settled', settledState: 'present', muted: null }])
      await played.state[Symbol.asyncDispose]()
    })

    it('is not passed over once another op is needed, though the row is the same', async () => {
      const played = await Played.open(harness())
      const edited = ONE.replace('10', '11')
      await played.run(ONE)
      await played.run(edited, 'unknown')
      const discard = { kind: 'discard', key: null, status: null } as const
      const { changes } = await played.run(edited, 'delivered', { purpose: discard })
      expect(changes).toMatchObject([{ op: 'settled', settledState: 'content-uncertain' }])
      expect((await played.diff(edited)).changes).toEqual([])
      expect((await played.diff(`${ONE} LIMIT 0`)).changes).toMatchObject([{ op: 'removed' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('is passed over once its removal is given up, though the model has got a column since', async () => {
      const played = await Played.open(harness())
      const gone = `${ONE} LIMIT 0`
      await played.run(ONE, 'unknown')
      const wider = `SELECT *, 7 AS x FROM (${gone})`
      const { changes } = await played.run(wider, 'delivered', { giveUpAfter: 1 })
      expect(changes).toMatchObject([
        { op: 'settled', settledState: 'existence-uncertain', muted: expect.anything() },
      ])
      expect((await played.diff(wider, { giveUpAfter: 1 })).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it('is left alone, whatever the model says, while nobody has decided about it', async () => {
      const played = await Played.open(harness())
      const edited = ONE.replace('10', '11')
      const undecided = { leavesUndecided: 'all' } as const
      await played.run(ONE)
      await played.run(edited, 'unknown')
      const resync = { kind: 'resync', as: 'added' } as const
      for (const model of [edited, ONE, ONE.replace('10', '12'), `${ONE} LIMIT 0`])
        for (const more of [{}, { giveUpAfter: 1 }, { purpose: resync }]) {
          const { diff, changes, endsRetry } = await played.diff(model, { ...undecided, ...more })
          expect({ undecided: diff.undecided, changes, endsRetry }).toEqual({
            undecided: 1,
            changes: [],
            endsRetry: [],
          })
        }
      const retry = { kind: 'retry', key: '1', status: null } as const
      const asked = await played.diff(edited, { ...undecided, purpose: retry })
      expect(asked.changes).toMatchObject([{ op: 'changed', beforeState: 'content-uncertain' }])
      expect(asked.diff.undecided).toBe(0)
      expect((await played.diff(edited)).changes).toMatchObject([{ op: 'changed' }])
      const discard = { kind: 'discard', key: null, status: null } as const
      await played.run(edited, 'delivered', { ...undecided, purpose: discard })
      const later = await played.diff(edited, undecided)
      expect({ undecided: later.diff.undecided, changes: later.changes }).toEqual({
        undecided: 0,
        changes: [],
      })
      expect((await played.diff(ONE, undecided)).changes).toMatchObject([{ op: 'changed' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('is decided about by what was asked after it failed, and by nothing that was asked before', async () => {
      const played = await Played.open(harness())
      const two = `${ONE} UNION ALL SELECT '2', 20`
      const retry = { leavesUndecided: 'after-asked', upTo: 1 } as const
      const discard = { purpose: { kind: 'discard', key: null, status: null }, upTo: 1 } as const
      const one = { purpose: { kind: 'retry', key: '1', status: null }, upTo: 1 } as const
      await played.run(two, 'unknown')
      for (const asked of [retry, discard])
        expect((await played.diff(two, asked)).changes).toMatchObject([{ key: '1' }, { key: '2' }])
      expect((await played.diff(two, one)).changes).toMatchObject([{ key: '1' }])
      // A run that was cut has sent one of them, and nobody knows what became of that.
      await played.run(ONE, 'unknown', one)
      const rest = await played.diff(two, retry)
      expect([rest.changes, rest.diff.undecided]).toMatchObject([[{ key: '2' }], 1])
      expect((await played.diff(two, discard)).changes).toMatchObject([{ key: '2' }])
      expect((await played.diff(two, one)).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it('is sent once by a resync, however many runs carry it out', async () => {
      const played = await Played.open(harness())
      const two = `${ONE} UNION ALL SELECT '2', 20`
      await played.run(two)
      for (const as of ['added', 'changed'] as const) {
        const resync = { purpose: { kind: 'resync', as }, upTo: 1 } as const
        expect((await played.diff(two, resync)).changes).toMatchObject([{ op: as }, { op: as }])
      }
      const resync = { purpose: { kind: 'resync', as: 'changed' }, upTo: 1 } as const
      const { changes } = await played.diff(two, resync)
      await played.deliver(changes.slice(0, 1), 'delivered')
      await played.state.commit()
      expect((await played.diff(two, resync)).changes).toMatchObject([{ op: 'changed', key: '2' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('whose fate is known is tried again, also where nothing unknown is', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      const { diff, changes } = await played.diff(ONE, { leavesUndecided: 'all' })
      expect(changes).toMatchObject([{ op: 'added' }])
      expect(diff.undecided).toBe(0)
      await played.state[Symbol.asyncDispose]()
    })

    it('alone is tried again where only it is meant, and is not given up', async () => {
      const played = await Played.open(harness())
      const two = `${ONE} UNION ALL SELECT '2', 20`
      await played.run(ONE, 'rejected')
      const retry = { kind: 'retry', key: '1', status: null } as const
      const asked = { purpose: retry, giveUpAfter: 1 }
      expect((await played.diff(two, asked)).changes).toMatchObject([{ op: 'added', key: '1' }])
      for (const other of [
        { ...retry, key: '2' },
        { ...retry, status: 418 },
      ])
        expect((await played.diff(two, { purpose: other })).changes).toEqual([])
      const gone = await played.diff(`${ONE} LIMIT 0`, asked)
      expect(gone.changes).toMatchObject([{ op: 'settled', key: '1', muted: null }])
      await played.state[Symbol.asyncDispose]()
    })

    it('is meant by its group: the reason, and the time at which it failed first', async () => {
      const played = await Played.open(harness())
      const two = `${ONE} UNION ALL SELECT '2', 20`
      await played.run(ONE, 'rejected')
      await played.run(two, 'rejected')
      const reason = reasonHash(entryOf('added', 'rejected', { run: 2, seq: 0 }), 'i')
      const keysOf = async (
        kind: 'retry' | 'discard',
        group: NonNullable<MeantRows['group']>,
        status: number | null = null,
      ) => {
        const purpose = { kind, key: null, status, group }
        return (await played.diff(two, { purpose })).changes.map(({ key }) => key)
      }
      for (const kind of ['retry', 'discard'] as const) {
        // A later run than `toRun` has tried them again.
        expect(await keysOf(kind, { reason, lastSince: SINCE, toRun: 1 })).toEqual(['1', '2'])
        expect(await keysOf(kind, { reason, lastSince: SINCE - 1, toRun: 2 })).toEqual([])
        expect(await keysOf(kind, { reason: '000000000000', lastSince: SINCE, toRun: 2 })).toEqual([])
        // All rows of a list, whatever they fail for by now, and those of a status in it.
        expect(await keysOf(kind, { reason: null, lastSince: SINCE, toRun: 1 })).toEqual(['1', '2'])
        expect(await keysOf(kind, { reason: null, lastSince: SINCE - 1, toRun: 2 })).toEqual([])
        expect(await keysOf(kind, { reason: null, lastSince: SINCE, toRun: 2 }, 5)).toEqual(['1', '2'])
        expect(await keysOf(kind, { reason: null, lastSince: SINCE, toRun: 2 }, 4)).toEqual([])
      }
      await played.state[Symbol.asyncDispose]()
    })

    it('is not meant by its group, where it is sent at most once, if a later run has left it unknown', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'unknown')
      const reason = reasonHash(entryOf('added', 'unknown', { run: 1, seq: 0 }), 'i')
      const keysOf = async (toRun: number, atMostOnce: boolean) => {
        const purpose = {
          kind: 'retry',
          key: null,
          status: null,
          group: { reason, lastSince: SINCE, toRun },
        } as const
        return (await played.diff(ONE, { purpose, atMostOnce })).changes.map(({ key }) => key)
      }
      expect([await keysOf(1, true), await keysOf(0, true), await keysOf(0, false)]).toEqual([
        ['1'],
        [],
        ['1'],
      ])
      await played.state[Symbol.asyncDispose]()
    })

    it('is settled where the need of a retry is gone: a failed add that left, a failed change that reverted', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      const gone = await played.run(`${ONE} LIMIT 0`)
      expect(gone.changes).toMatchObject([{ op: 'settled', key: '1', settledState: 'absent', after: null }])
      expect(gone.endsRetry).toEqual([{ partition: 0, key: '1' }])
      await played.run(ONE)
      await played.run(ONE.replace('10', '11'), 'rejected')
      const reverted = await played.run(ONE)
      expect(reverted.changes).toMatchObject([
        { op: 'settled', key: '1', settledState: 'present', after: { id: '1', v: 10 } },
      ])
      expect(reverted.endsRetry).toEqual([{ partition: 0, key: '1' }])
      expect((await played.diff(ONE)).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it('counts ops with a trigger only, and settles the others as if delivered', async () => {
      const played = await Played.open(harness())
      const onlyChanged = { opsWithTrigger: new Set<Op>(['changed']) }
      const first = await played.run(ONE, 'delivered', onlyChanged)
      expect(first.changes).toMatchObject([
        { op: 'settled', settledState: 'present', after: { id: '1', v: 10 } },
      ])
      expect(first.diff.settled).toBe(1)
      expect(Object.keys(first.diff.counts)).toEqual(['changed'])
      const second = await played.run(ONE.replace('10', '11'), 'delivered', onlyChanged)
      expect(brief(second.changes)).toEqual([['changed', '1', 10, 11]])
      const third = await played.run(`${ONE} LIMIT 0`, 'delivered', onlyChanged)
      expect(third.changes).toMatchObject([
        { op: 'settled', settledState: 'absent', after: null, before: { v: 11 } },
      ])
      expect((await played.diff(ONE)).changes).toMatchObject([{ op: 'added' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('passes over rows that are too large, and does not take them as removed', async () => {
      const played = await Played.open(harness())
      const rows = (bytes: number, v = 1) =>
        `SELECT id, repeat('x', if(id = 'b', ${bytes}, 5)) AS text, ${v} AS v FROM (VALUES ('a'), ('b')) t(id)`
      await played.run(rows(5))
      const { diff, changes } = await played.run(rows(8_000_001, 2))
      expect(changes.map(({ op, key }) => `${op} ${key}`)).toEqual(['changed a'])
      expect(diff).toMatchObject({
        rowsRead: 2,
        rowsInvalid: 1,
        invalidSamples: [{ key: 'b', reason: 'the row has about 8000002 bytes, and the most is 8000000' }],
        counts: { changed: { detected: 1 }, removed: { detected: 0 } },
      })
      const fitting = await played.diff(rows(7_999_999, 2))
      expect(fitting.changes.map(({ op, key }) => `${op} ${key}`)).toEqual(['changed b'])
      const bytes = `SELECT '1' AS id, repeat('x', 8_000_001)::BLOB AS v`
      expect((await played.diff(bytes)).diff.invalidSamples).toMatchObject([{ key: '1' }])
      const list = `SELECT '1' AS id, range(1_000_000) AS v`
      expect((await played.diff(list)).diff.invalidSamples).toMatchObject([{ key: '1' }])
      await played.state[Symbol.asyncDispose]()
    })

    it('settles every row as present for a baseline, and sends what changes later', async () => {
      const played = await Played.open(harness())
      const first = await played.run(ONE, 'delivered', { baseline: true })
      expect(first.changes).toMatchObject([{ op: 'settled', settledState: 'present' }])
      expect(brief((await played.diff(ONE.replace('10', '11'))).changes)).toEqual([['changed', '1', 10, 11]])
      await played.state[Symbol.asyncDispose]()
    })

    it('has the captured values of the key', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const value = { incarnation: 'i', owner: 0, run: 1, seq: 0, values: '{"id":"a\\tb"}' }
      await played.state.feed({ partition: 0, captured: { records: [{ key: '1', value }], nextOffset: 1 } })
      await played.state.commit()
      expect((await played.diff(`${ONE} LIMIT 0`)).changes).toMatchObject([
        { op: 'removed', captured: '{"id":"a\\tb"}' },
      ])
      await played.state.feed({
        partition: 0,
        captured: { records: [{ key: '1', value: null }], nextOffset: 2 },
      })
      await played.state.commit()
      expect((await played.diff(`${ONE} LIMIT 0`)).changes).toMatchObject([{ op: 'removed', captured: null }])
      await played.state[Symbol.asyncDispose]()
    })

    it('names an outcome by run and seq: an entry of another change of the run says nothing', async () => {
      const played = await Played.open(harness())
      const { changes } = await played.diff(ONE)
      const [change] = changes
      if (change === undefined) throw new Error('nothing found')
      const place = (seq: number) => ({
        offset: seq,
        timestamp: 0,
        change: { ...change, run: 1, seq, replayed: null },
      })
      await played.state.feed({ partition: 0, changes: { records: [place(0), place(1)], nextOffset: 2 } })
      await played.feedRetry('1', entryOf('added', 'rejected', { run: 1, seq: 0 }))
      await played.state.commit()
      await played.state.commit()
      const again = await played.diff(ONE)
      // Delivered, and an entry that is left over from before is ended.
      expect(again.changes).toMatchObject([{ op: 'settled', settledState: 'present' }])
      expect(again.endsRetry).toEqual([{ partition: 0, key: '1' }])
      await played.state[Symbol.asyncDispose]()
    })
  })

  describe(`${name}: bad rows`, TIMEOUT, () => {
    it('without a key, or with that of another row, are rejected and never taken as removed', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT * FROM (VALUES ('a', 1), ('b', 1)) t(id, v)")
      const { diff, changes } = await played.diff(
        "SELECT * FROM (VALUES ('a', 2), ('a', 3), ('a', 2), (NULL, 1), ('b', 1)) t(id, v)",
      )
      expect(changes).toEqual([])
      expect(diff.rowsRead).toBe(5)
      expect(diff.rowsInvalid).toBe(4)
      expect(diff.invalidSamples).toEqual([
        { key: null, reason: 'primary key column "id" is null' },
        { key: 'a', reason: '3 rows have this primary key' },
      ])
      expect(brief((await played.diff("SELECT 'b' AS id, 1 AS v")).changes)).toEqual([
        ['removed', 'a', 1, null],
      ])
      await played.state[Symbol.asyncDispose]()
    })

    it('are those whose key no record can carry: keys of 8 KB are no reason, and 100,000 bytes the most', async () => {
      const played = await Played.open(harness())
      const keys = (rest: string) =>
        `SELECT repeat(k, n) AS id, v FROM (VALUES ('a', 1, 1), ('b', 8192, 1), ${rest}) t(k, n, v)`
      const first = await played.run(keys(`('c', 100000, 1)`))
      expect(first.changes.map(({ op, key }) => [op, key.length])).toEqual([
        ['added', 1],
        ['added', 8_192],
        ['added', 100_000],
      ])
      const { diff, changes } = await played.diff(
        keys(`('c', 100000, 2), ('d', 100001, 1), ('é', 50001, 1), ('é', 50001, 1)`),
      )
      expect(changes.map(({ op, key }) => [op, key.length])).toEqual([['changed', 100_000]])
      expect(diff).toMatchObject({ rowsRead: 6, rowsInvalid: 3 })
      expect(diff.invalidSamples.map(({ reason }) => reason).toSorted()).toEqual([
        'the primary key has 100001 bytes, and the most is 100000',
        'the primary key has 100002 bytes, and the most is 100000',
        'the primary key has 100002 bytes, and the most is 100000',
      ])
      for (const { key } of diff.invalidSamples) expect(key).toMatch(/^[dé]{100} …$/)
      await played.state[Symbol.asyncDispose]()
      const composite = await Played.open(harness(), 'composite')
      const wide = `SELECT ${Array.from({ length: 8 }, (_, i) => `repeat('${i}', 8192) AS k${i}`).join(', ')}`
      const primaryKey = Array.from({ length: 8 }, (_, i) => `k${i}`)
      expect((await composite.diff(wide, { primaryKey })).diff.rowsInvalid).toBe(0)
      await composite.state[Symbol.asyncDispose]()
    })

    it('are counted all, and shown ten at most', async () => {
      const played = await Played.open(harness())
      const { diff, changes } = await played.diff(
        'SELECT (i // 2)::VARCHAR AS id, i AS v FROM range(100) t(i)',
      )
      expect(changes).toEqual([])
      expect(diff.rowsInvalid).toBe(100)
      expect(diff.invalidSamples.length).toBe(10)
      await played.state[Symbol.asyncDispose]()
    })

    it('are those with any null in a composite key', async () => {
      const played = await Played.open(harness())
      const sql = "SELECT * FROM (VALUES ('a', 1, 1), ('a', NULL, 2), (NULL, NULL, 3)) t(id, n, v)"
      const { diff, changes } = await played.diff(sql, { primaryKey: ['id', 'n'] })
      expect(changes.map(change => change.key)).toEqual(['["a","1"]'])
      expect(diff.rowsInvalid).toBe(2)
      await played.state[Symbol.asyncDispose]()
    })
  })
}

export function manyColumnsSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: what a run finds`, TIMEOUT, () => {
    it('is found in rows of 1,200 columns', async () => {
      const played = await Played.open(harness())
      const sql = (last: number): string =>
        `SELECT '1' AS id, ${Array.from({ length: 1200 }, (_, i) => `'t${i}' AS c${i}`).join(', ')}, ${last} AS v`
      expect(brief((await played.run(sql(1))).changes)).toEqual([['added', '1', null, 1]])
      expect((await played.diff(sql(1))).changes).toEqual([])
      expect(brief((await played.diff(sql(2))).changes)).toEqual([['changed', '1', 1, 2]])
      await played.state[Symbol.asyncDispose]()
    })
  })
}

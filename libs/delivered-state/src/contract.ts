/** The suite that every delivered state passes. */
import { describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import type { RetryEntry } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import type { Row } from '@sluice/contracts/values'
import { changesOf, type DeliveredStateHarness, requestFor } from './contract-harness.ts'
import { History } from './contract-history.ts'
import type { DeliveredState, DetectedChange, DiffRequest } from './port.ts'

/** Files are made and opened in each test, which takes its time on a busy machine. */
const TIMEOUT = { timeout: 60_000 }

const ONE = "SELECT '1' AS id, 10 AS v"

function entryOf(
  op: Op,
  outcome: Outcome,
  place: { readonly run: number; readonly seq: number },
): RetryEntry {
  return {
    incarnation: 'i',
    owner: 0,
    ...place,
    op,
    status: 500,
    error: 'no',
    idempotencyKey: 'once',
    outcome,
    answered: false,
    requestHash: 'abc',
    requestRows: 1,
    attempts: 2,
    runs: 1,
    since: 1_700_000_000_000,
  }
}

/** A state of one partition with what the topics hold, so that a test can play the pipeline. */
class Played {
  readonly #harness: DeliveredStateHarness
  readonly state: DeliveredState
  #offset = 0
  #retryOffset = 0
  #run = 0

  constructor(harness: DeliveredStateHarness, state: DeliveredState) {
    this.#harness = harness
    this.state = state
  }

  static async open(harness: DeliveredStateHarness, name = 'state'): Promise<Played> {
    return new Played(harness, await harness.open({ name }))
  }

  async diff(sql: string, options: Partial<DiffRequest> = {}) {
    const diff = await this.state.diff(await requestFor(this.#harness, sql, options))
    return { diff, ...(await changesOf(diff)) }
  }

  /** One run: finds the changes and gives all of them the outcome. */
  async run(sql: string, outcome: Outcome = 'delivered', options: Partial<DiffRequest> = {}) {
    const found = await this.diff(sql, options)
    await this.deliver(found.changes, outcome)
    for (const key of found.endsRetry) await this.feedRetry(key, null)
    await this.state.commit()
    return found
  }

  async deliver(changes: readonly DetectedChange[], outcome: Outcome): Promise<void> {
    const run = ++this.#run
    const records = changes.map((change, seq) => ({
      offset: this.#offset++,
      change: { ...change, run, seq, replayed: null },
    }))
    await this.state.feed({ partition: 0, changes: { records, nextOffset: this.#offset } })
    for (const { change } of records)
      if (change.op !== 'settled')
        await this.feedRetry(change.key, outcome === 'delivered' ? null : entryOf(change.op, outcome, change))
  }

  async feedRetry(key: string, value: RetryEntry | null): Promise<void> {
    const nextOffset = ++this.#retryOffset
    await this.state.feed({ partition: 0, retry: { records: [{ key, value }], nextOffset } })
  }
}

const brief = (changes: readonly DetectedChange[]) =>
  changes.map(({ op, key, before, after }) => [op, key, before?.['v'] ?? null, after?.['v'] ?? null])

export function deliveredStateContract(name: string, harness: () => DeliveredStateHarness): void {
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

    it('comes in the order settled, removed, changed, added, and by key within each', async () => {
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
      expect(changes.map(change => `${change.op} ${change.key}`)).toEqual([
        'settled s',
        'removed r1',
        'removed r2',
        'changed c1',
        'changed c2',
        'added a1',
        'added a2',
      ])
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

    it('is settled where the need of a retry is gone: a failed add that left, a failed change that reverted', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'rejected')
      const gone = await played.run(`${ONE} LIMIT 0`)
      expect(gone.changes).toMatchObject([{ op: 'settled', key: '1', settledState: 'absent', after: null }])
      expect(gone.endsRetry).toEqual(['1'])
      await played.run(ONE)
      await played.run(ONE.replace('10', '11'), 'rejected')
      const reverted = await played.run(ONE)
      expect(reverted.changes).toMatchObject([
        { op: 'settled', key: '1', settledState: 'present', after: { id: '1', v: 10 } },
      ])
      expect(reverted.endsRetry).toEqual(['1'])
      expect((await played.diff(ONE)).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it('counts ops with a trigger only, and settles the others as if delivered', async () => {
      const played = await Played.open(harness())
      const onlyChanged = { triggers: new Set<Op>(['changed']) }
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
      const place = (seq: number) => ({ offset: seq, change: { ...change, run: 1, seq, replayed: null } })
      await played.state.feed({ partition: 0, changes: { records: [place(0), place(1)], nextOffset: 2 } })
      await played.feedRetry('1', entryOf('added', 'rejected', { run: 1, seq: 0 }))
      await played.state.commit()
      const again = await played.diff(ONE)
      // Delivered, and an entry that is left over from before is ended.
      expect(again.changes).toMatchObject([{ op: 'settled', settledState: 'present' }])
      expect(again.endsRetry).toEqual(['1'])
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

  describe(`${name}: a model that changes`, TIMEOUT, () => {
    const rowsOf = (changes: readonly DetectedChange[]): readonly (Row | null)[] =>
      changes.map(change => change.before)

    it('by a new column sends nothing for it alone, and later edits of it as changes', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const wide = "SELECT '1' AS id, 10 AS v, 'x' AS extra"
      const adopted = await played.run(wide)
      expect(adopted.changes.filter(change => change.op !== 'settled')).toEqual([])
      expect((await played.diff(wide)).changes).toEqual([])
      const edited = await played.diff(wide.replace("'x'", "'y'"))
      expect(edited.changes).toMatchObject([{ op: 'changed', before: { extra: 'x' }, after: { extra: 'y' } }])
      await played.state[Symbol.asyncDispose]()
    })

    it('by a new column still finds edits of the others, and fills what was never stored with null', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const { changes } = await played.diff("SELECT 'x' AS extra, '1' AS id, 11 AS v")
      expect(rowsOf(changes)).toEqual([{ extra: null, id: '1', v: 10 }])
      expect(Object.keys(changes[0]?.before ?? {})).toEqual(['extra', 'id', 'v'])
      await played.state[Symbol.asyncDispose]()
    })

    it('by a column that vanishes sends nothing', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT '1' AS id, 10 AS v, 'x' AS extra")
      expect((await played.diff(ONE)).changes).toEqual([])
      expect(rowsOf((await played.diff(`${ONE} LIMIT 0`)).changes)).toEqual([{ id: '1', v: 10 }])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the type of a column sends only what is another value', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT '1' AS id, 10::INTEGER AS v UNION ALL SELECT '2', 20")
      const wider = "SELECT '1' AS id, 10::DECIMAL(10,2) AS v UNION ALL SELECT '2', 20.5"
      expect(brief((await played.diff(wider)).changes).map(([op, key]) => [op, key])).toEqual([
        ['changed', '2'],
      ])
      const text = "SELECT '1' AS id, '10' AS v UNION ALL SELECT '2', 'twenty'"
      expect(brief((await played.diff(text)).changes)).toEqual([['changed', '2', '20', 'twenty']])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the columns that count compares stored rows anew', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'delivered', { compare: ['id'] })
      expect((await played.diff(ONE.replace('10', '11'), { compare: ['id'] })).changes).toEqual([])
      expect(brief((await played.diff(ONE.replace('10', '11'), { compare: ['v'] })).changes)).toEqual([
        ['changed', '1', 10, 11],
      ])
      expect((await played.diff(ONE.replace('10', '11'), { compare: [] })).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it.each([
      ['other key columns', "SELECT '1' AS id, 10 AS v", ['v']],
      ['another type of the key', 'SELECT 1.5 AS id, 10 AS v', ['id']],
    ])('by %s is refused, naming the reset', async (_, sql, primaryKey) => {
      const played = await Played.open(harness())
      const first = await played.run(ONE)
      const refused = await played.diff(sql, { primaryKey }).then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(refused, 'config') ? refused.message : refused).toContain('sluice reset')
      // After a rebuild nobody remembers the key columns, and the rows have to tell.
      const rebuilt = await Played.open(harness(), 'rebuilt')
      await rebuilt.deliver(first.changes, 'delivered')
      await rebuilt.state.commit()
      const again = await rebuilt.diff(sql, { primaryKey }).then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(again, 'config') ? again.message : again).toContain('sluice reset')
      expect((await rebuilt.diff(ONE)).changes).toEqual([])
      await rebuilt.state[Symbol.asyncDispose]()
      await played.state[Symbol.asyncDispose]()
    })

    it('to one without its key column is refused, naming the columns there are', async () => {
      const played = await Played.open(harness())
      const refused = await played.diff('SELECT 1 AS ident').then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(refused, 'config') ? refused.message : refused).toContain('ident')
      await played.state[Symbol.asyncDispose]()
    })
  })

  describe(`${name}: the cache`, TIMEOUT, () => {
    it('counts nothing before a commit, and everything after it', async () => {
      const played = await Played.open(harness())
      const { changes } = await played.diff(ONE)
      await played.deliver(changes, 'delivered')
      await played.state[Symbol.asyncDispose]()
      const reopened = await Played.open(harness())
      expect(await reopened.state.positions()).toMatchObject({ changes: [0], retry: [0], lastChange: [null] })
      expect((await reopened.run(ONE)).changes.length).toBe(1)
      expect(await reopened.state.positions()).toMatchObject({
        changes: [1],
        lastChange: [{ offset: 0, run: 1, seq: 0 }],
      })
      await reopened.state[Symbol.asyncDispose]()
      const again = await Played.open(harness())
      expect(await again.state.positions()).toMatchObject({
        changes: [1],
        lastChange: [{ offset: 0, run: 1, seq: 0 }],
      })
      expect((await again.diff(ONE)).changes).toEqual([])
      await again.state[Symbol.asyncDispose]()
    })

    it('is emptied by a reset', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      await played.state.reset()
      expect(await played.state.positions()).toMatchObject({ changes: [0], retry: [0], lastChange: [null] })
      expect(brief((await played.diff(ONE)).changes)).toEqual([['added', '1', null, 10]])
      await played.state[Symbol.asyncDispose]()
    })

    it('of another incarnation or number of partitions is not trusted', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      await played.state[Symbol.asyncDispose]()
      const reasons: string[] = []
      const onDiscard = (reason: string) => reasons.push(reason)
      const other = await harness().open({ name: 'state', incarnation: 'j', onDiscard })
      expect(await other.positions()).toMatchObject({ changes: [0] })
      await other[Symbol.asyncDispose]()
      const wider = await harness().open({ name: 'state', incarnation: 'j', partitions: 3, onDiscard })
      expect(await wider.positions()).toMatchObject({ changes: [0, 0, 0] })
      await wider[Symbol.asyncDispose]()
      expect(reasons.length).toBe(2)
      expect(reasons[0]).toContain('incarnation')
    })

    it('takes the same records twice without harm', async () => {
      const played = await Played.open(harness())
      const { changes } = await played.diff(ONE)
      const [change] = changes
      if (change === undefined) throw new Error('nothing found')
      const records = [{ offset: 5, change: { ...change, run: 1, seq: 0, replayed: null } }]
      for (let i = 0; i < 2; i++)
        await played.state.feed({ partition: 0, changes: { records, nextOffset: 7 } })
      await played.state.commit()
      await played.state.feed({ partition: 0, changes: { records, nextOffset: 7 } })
      await played.state.commit()
      expect(await played.state.positions()).toMatchObject({
        changes: [7],
        lastChange: [{ offset: 5, run: 1, seq: 0 }],
      })
      expect((await played.diff(ONE)).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })
  })

  describe(`${name}: a diff`, TIMEOUT, () => {
    it('ends with the reason of the signal when aborted, and the state goes on', async () => {
      const played = await Played.open(harness())
      const controller = new AbortController()
      const request = await requestFor(harness(), 'SELECT i::VARCHAR AS id, i AS v FROM range(100000) t(i)', {
        signal: controller.signal,
      })
      const diff = await played.state.diff(request)
      const seen: number[] = []
      const reading = async () => {
        for await (const { changes } of diff.changes()) {
          seen.push(changes.length)
          controller.abort(new Error('enough'))
        }
      }
      await expect(reading()).rejects.toThrow('enough')
      expect(seen.length).toBe(1)
      await expect(played.state.diff(request)).rejects.toThrow('enough')
      expect((await played.diff(ONE)).changes.length).toBe(1)
      await played.state[Symbol.asyncDispose]()
    })

    it('comes in batches of a few thousand, whole and in order, and may be left early', async () => {
      const played = await Played.open(harness())
      const sql = "SELECT lpad(i::VARCHAR, 6, '0') AS id, i AS v, '😀' AS t FROM range(20000) t(i)"
      const request = await requestFor(harness(), sql)
      const sizes: number[] = []
      const values: unknown[] = []
      for await (const { changes } of (await played.state.diff(request)).changes()) {
        sizes.push(changes.length)
        values.push(...changes.map(change => change.after?.['v']))
      }
      expect(values).toEqual(Array.from({ length: 20000 }, (_, i) => i))
      expect(Math.max(...sizes)).toBeLessThanOrEqual(5000)
      for await (const { changes } of (await played.state.diff(request)).changes()) {
        expect(changes.length).toBeGreaterThan(0)
        break
      }
      expect((await played.diff(ONE)).changes.length).toBe(1)
      await played.state[Symbol.asyncDispose]()
    })

    it('holds large rows a few at a time', async () => {
      const played = await Played.open(harness())
      const request = await requestFor(
        harness(),
        "SELECT i::VARCHAR AS id, repeat('x', 400000) AS v FROM range(100) t(i)",
      )
      const sizes: number[] = []
      for await (const { changes } of (await played.state.diff(request)).changes()) sizes.push(changes.length)
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100)
      expect(Math.max(...sizes)).toBeLessThanOrEqual(30)
      await played.state[Symbol.asyncDispose]()
    })

    it('is ended by the next call', async () => {
      const played = await Played.open(harness())
      const request = await requestFor(harness(), ONE)
      const first = await played.state.diff(request)
      await played.state.diff(request)
      await expect(changesOf(first)).rejects.toThrow('later call')
      await played.state[Symbol.asyncDispose]()
    })
  })

  describe(`${name}: random histories`, TIMEOUT, () => {
    const first = Number(process.env['SLUICE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const count = Number(process.env['SLUICE_HISTORIES'] ?? 3)
    for (let seed = first; seed < first + count; seed++)
      it(
        `find what the tables say, whatever happened (SLUICE_SEED=${seed})`,
        { timeout: 60_000 },
        async () => {
          await new History(harness(), seed).play()
        },
      )
  })
}

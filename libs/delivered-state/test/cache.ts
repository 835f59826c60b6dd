/** Tests what the state keeps beyond a commit, a reset and another incarnation, and how a diff is read. */
import { describe, expect, it } from 'vitest'
import { sampleChange } from '@sluice/testkit/sample-records'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { brief, ONE, Played } from './played.ts'

export function cacheSuite(name: string, harness: () => DeliveredStateHarness): void {
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

    it('may be closed or reset while it still takes in a feed', async () => {
      const played = await Played.open(harness())
      const { changes } = await played.diff('SELECT i::VARCHAR AS id, i AS v FROM range(6000) t(i)')
      await played.state[Symbol.asyncDispose]()
      const places = changes.map((change, seq) => ({
        offset: seq,
        timestamp: 0,
        change: { ...change, run: 1, seq, replayed: null },
      }))
      for (let i = 0; i < 16; i++) {
        const again = await harness().open({ name: `closed-${i}` })
        const records = places.slice(0, i % 2 === 0 ? 1 : places.length)
        await again.feed({ partition: 0, changes: { records, nextOffset: records.length } })
        if (i % 4 > 1) await again.reset()
        await again[Symbol.asyncDispose]()
      }
      const last = await harness().open({ name: 'closed-1' })
      expect(await last.positions()).toMatchObject({ changes: [0], lastChange: [null] })
      await last[Symbol.asyncDispose]()
    })

    it('remembers for which run it was brought up to date last, and when', async () => {
      const fedFor = { run: 7, at: 1_700_000_000_000 }
      const played = await Played.open(harness())
      expect(await played.state.positions()).toMatchObject({ fedFor: null })
      await played.state.commit({ fedFor })
      await played.run(ONE)
      await played.state[Symbol.asyncDispose]()
      const reopened = await Played.open(harness())
      expect(await reopened.state.positions()).toMatchObject({ changes: [1], fedFor })
      await reopened.state.reset()
      expect(await reopened.state.positions()).toMatchObject({ changes: [0], fedFor: null })
      await reopened.state[Symbol.asyncDispose]()
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

    it('takes nothing in with a commit that is aborted', async () => {
      const played = await Played.open(harness())
      const records = Array.from({ length: 60_000 }, (_, seq) => ({
        offset: seq,
        timestamp: 0,
        change: sampleChange({ key: `${seq}`, after: { id: `${seq}`, v: 'x'.repeat(100) }, seq }),
      }))
      const stretch = { partition: 0, changes: { records, nextOffset: records.length } }
      await played.state.feed(stretch)
      const controller = new AbortController()
      const committing = played.state.commit({ signal: controller.signal })
      controller.abort(new Error('enough'))
      await expect(committing).rejects.toThrow('enough')
      await played.state[Symbol.asyncDispose]()
      const again = await Played.open(harness())
      expect(await again.state.positions()).toMatchObject({ changes: [0], lastChange: [null] })
      await again.state.feed(stretch)
      await again.state.commit({ signal: new AbortController().signal })
      expect(await again.state.positions()).toMatchObject({ changes: [60_000] })
      await again.state[Symbol.asyncDispose]()
    })

    it('takes the same records twice without harm', async () => {
      const played = await Played.open(harness())
      const { changes } = await played.diff(ONE)
      const [change] = changes
      if (change === undefined) throw new Error('nothing found')
      const records = [{ offset: 5, timestamp: 0, change: { ...change, run: 1, seq: 0, replayed: null } }]
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
}

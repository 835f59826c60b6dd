import { describe, expect, it } from 'vitest'
import { ByteBudget, type ByteShare } from './byte-budget.ts'

const never = new AbortController().signal
const MB = 1_000_000

/** Takes as often as there is room at once; how many that were. */
async function fill(share: ByteShare, bytes: number): Promise<number> {
  for (let taken = 0; ; taken += 1) {
    const abort = new AbortController()
    const take = share.take(bytes, { signal: abort.signal })
    abort.abort(new Error('no room'))
    if (
      !(await take.then(
        () => true,
        () => false,
      ))
    )
      return taken
  }
}

describe('a budget of bytes', () => {
  it('holds no more than its limit, and one alone may have its half and what is common', async () => {
    const budget = new ByteBudget(100 * MB)
    expect(await fill(budget.open(), 7 * MB)).toBe(14)
    expect(budget.takenBytes).toBe(98 * MB)
  })

  it('leaves everybody their part, whatever the others hold', async () => {
    const budget = new ByteBudget(100 * MB)
    const shares = Array.from({ length: 5 }, () => budget.open())
    const [greedy, ...others] = shares
    expect(await fill(greedy ?? budget.open(), MB)).toBe(60)
    for (const share of others) expect(await fill(share, MB)).toBe(10)
    expect(budget.takenBytes).toBe(100 * MB)
  })

  it('gives one that holds nothing what it wants, so that nobody stands still', async () => {
    const budget = new ByteBudget(10 * MB)
    const shares = Array.from({ length: 6 }, () => budget.open())
    for (const share of shares) expect(await fill(share, 8 * MB)).toBe(1)
    expect(budget.takenBytes).toBe(48 * MB)
  })

  it('wakes who waits once something is given back, the first first', async () => {
    const budget = new ByteBudget(10 * MB)
    const [a, b] = [budget.open(), budget.open()]
    expect(await fill(a, 2 * MB)).toBe(3)
    await b.take(MB, { signal: never })
    const order: string[] = []
    const waits = [
      b.take(8 * MB, { signal: never }).then(() => order.push('large')),
      a.take(2 * MB, { signal: never }).then(() => order.push('small')),
    ]
    a.give(2 * MB)
    await waits[1]
    expect(order).toEqual(['small'])
    b.give(MB)
    await Promise.all(waits)
    expect(order).toEqual(['small', 'large'])
  })

  it('takes back what a closed share held, and divides again', async () => {
    const budget = new ByteBudget(100 * MB)
    const [a, b] = [budget.open(), budget.open()]
    await fill(a, MB)
    const waiting = b.take(90 * MB, { signal: never }).then(() => b.take(10 * MB, { signal: never }))
    a[Symbol.dispose]()
    a[Symbol.dispose]()
    await waiting
    a.give(MB)
    expect([budget.takenBytes, budget.shares]).toEqual([100 * MB, 1])
  })

  it('counts what is there already, and rejects who gives up waiting', async () => {
    const budget = new ByteBudget(10 * MB)
    const share = budget.open()
    share.add(20 * MB)
    const abort = new AbortController()
    const take = share.take(1, { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(take).rejects.toThrow('enough')
    share.give(20 * MB)
    expect(budget.takenBytes).toBe(0)
    await expect(share.take(1, { signal: abort.signal })).rejects.toThrow('enough')
    expect(budget.takenBytes).toBe(0)
  })
})

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { HEAP_FLAGS } from '../../bin/node-settings.mjs'
import { growHeapByRoom, growthPercent } from './heap-growth.ts'

const MB = 1_000_000
const percent = (heapMb: number, residentMb: number, reservedMb = 0): number =>
  growthPercent(
    { heapBytes: heapMb * MB, residentBytes: residentMb * MB },
    { memoryBytes: 512 * MB, reservedBytes: reservedMb * MB },
  )

describe('the heap', () => {
  it.each([
    { what: 'grows fourfold while it is small', heap: 30, resident: 180, grows: 300 },
    { what: 'grows by at most 200 MB', heap: 80, resident: 250, grows: 250 },
    { what: 'grows by what the process may still have', heap: 50, resident: 462, grows: 100 },
    { what: 'leaves others what they may take yet', heap: 50, resident: 260, reserved: 192, grows: 120 },
    {
      what: 'grows as V8 would have it where only the room of others is left',
      heap: 50,
      resident: 400,
      reserved: 192,
      grows: 50,
    },
    { what: 'grows as V8 would have it where little is left', heap: 200, resident: 490, grows: 50 },
    { what: 'grows by a quarter where nothing is left', heap: 200, resident: 700, grows: 25 },
  ])('$what', ({ heap, resident, reserved = 0, grows }) => {
    expect(percent(heap, resident, reserved)).toBe(grows)
  })

  it('is collected as a whole far less often than with V8 alone', async () => {
    const alone = await collections('')
    const byRoom = await collections('growHeapByRoom({ memoryBytes: 512_000_000 })')
    expect(alone).toBeGreaterThan(8)
    expect(byRoom).toBeLessThan(alone / 2)
  })
})

describe('a process that has more memory than it may', () => {
  // V8 alone would wait for more to be made.
  it('collects its garbage, and does nothing else all the time', async () => {
    const stdout = await printed(`
      import { growHeapByRoom } from ${MODULE}
      import { getHeapStatistics } from 'node:v8'
      let made = Array.from({ length: 2_000_000 }, (_, n) => ({ n }))
      const most = getHeapStatistics().used_heap_size
      made = null
      growHeapByRoom({ memoryBytes: 1_000_000 })
      const began = performance.now()
      const isMuch = () => getHeapStatistics().used_heap_size > most / 2
      while (isMuch() && performance.now() - began < 5_000) await new Promise(setImmediate)
      console.log('much is left:', isMuch())`)
    expect(stdout).toContain('much is left: false')
    expect(stdout.match(/Mark-Compact.*testing/g) ?? []).toHaveLength(1)
  })

  it('gives back what is free, one time after the other, and not when it has less', async () => {
    vi.useFakeTimers()
    try {
      const { promise: given, resolve: isGiven } = Promise.withResolvers<void>()
      const giveBack = vi.fn(() => given)
      using _above = growHeapByRoom({ memoryBytes: MB, giveBack })
      await vi.advanceTimersByTimeAsync(200)
      expect(giveBack).toHaveBeenCalledTimes(1)
      isGiven()
      await vi.advanceTimersByTimeAsync(2_000)
      const calls = giveBack.mock.calls.length
      expect(calls).toBeGreaterThan(1)
      expect(calls).toBeLessThan(6)
      const below = vi.fn(() => Promise.resolve())
      using _below = growHeapByRoom({ memoryBytes: 100_000 * MB, giveBack: below })
      await vi.advanceTimersByTimeAsync(2_000)
      expect(below).not.toHaveBeenCalled()
    } finally {
      vi.useRealTimers()
    }
  })

  it('does not ask again for what fails', async () => {
    vi.useFakeTimers()
    try {
      const giveBack = vi.fn(() => Promise.reject(new Error('no such library')))
      using _growth = growHeapByRoom({ memoryBytes: MB, giveBack })
      await vi.advanceTimersByTimeAsync(10_000)
      expect(giveBack).toHaveBeenCalledTimes(1)
    } finally {
      vi.useRealTimers()
    }
  })
})

const MODULE = JSON.stringify(new URL('heap-growth.ts', import.meta.url).href)

/**
 * Counts how often a process collects its whole heap while objects pass through it that live for a moment.
 */
async function collections(first: string): Promise<number> {
  const stdout = await printed(`
    import { growHeapByRoom } from ${MODULE}
    ${first}
    const held = Array.from({ length: 300_000 }, (_, n) => ({ n, text: [n] }))
    const passing = new Array(100_000)
    for (let n = 0; n < 10_000_000; n += 1) passing[n % passing.length] = { n, text: [n] }
    console.log(held.length + passing.length)`)
  return stdout.match(/Mark-Compact/g)?.length ?? 0
}

/** Runs a process, and returns its lines about collections. */
async function printed(program: string): Promise<string> {
  const flags = [...HEAP_FLAGS, '--trace-gc', '--disable-warning=ExperimentalWarning']
  const args = [...flags, '--input-type=module-typescript', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * MB })
  return stdout
}

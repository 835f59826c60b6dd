import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { HEAP_FLAGS } from '../../bin/node-settings.mjs'
import { growthPercent } from './heap-growth.ts'

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

/** How often a process collects its whole heap while objects pass through it that live for a moment. */
async function collections(first: string): Promise<number> {
  const module = new URL('heap-growth.ts', import.meta.url).href
  const program = `
    import { growHeapByRoom } from ${JSON.stringify(module)}
    ${first}
    const held = Array.from({ length: 300_000 }, (_, n) => ({ n, text: [n] }))
    const passing = new Array(100_000)
    for (let n = 0; n < 10_000_000; n += 1) passing[n % passing.length] = { n, text: [n] }
    console.log(held.length + passing.length)`
  const flags = [...HEAP_FLAGS, '--trace-gc', '--disable-warning=ExperimentalWarning']
  const args = [...flags, '--input-type=module-typescript', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * MB })
  return stdout.match(/Mark-Compact/g)?.length ?? 0
}

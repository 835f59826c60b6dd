import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { MEMORY } from '../../../runtime/bin/node-settings.mjs'
import { FreedMemory } from './freed-memory.ts'

const MODULE = JSON.stringify(new URL('freed-memory.ts', import.meta.url).href)

describe('memory that is free', () => {
  // A small piece at the end of glibc's heap keeps all that was freed below it.
  it('goes back to the system', async () => {
    const { heldMb, keptMb, leftMb } = await residentMb()
    expect(heldMb - keptMb, 'given back by itself').toBeLessThan(30)
    expect(keptMb - leftMb, 'given back when asked').toBeGreaterThan(70)
  })

  it('is given back as often as one asks, and nothing is left open', async () => {
    await using freed = new FreedMemory()
    await freed.giveBack()
    await freed.giveBack()
    const giving = freed.giveBack()
    await freed[Symbol.asyncDispose]()
    await expect(giving).resolves.toBeUndefined()
  })
})

interface Resident {
  /** While 100 MB in pieces of 100 KB are in use, when all but one are free, and once they are given back. */
  readonly heldMb: number
  readonly keptMb: number
  readonly leftMb: number
}

async function residentMb(): Promise<Resident> {
  const program = `
    import { FreedMemory } from ${MODULE}
    const residentMb = () => process.memoryUsage.rss() / 1_000_000
    await using freed = new FreedMemory()
    await freed.giveBack()
    let pieces = Array.from({ length: 1_000 }, () => Buffer.allocUnsafeSlow(100_000).fill(1))
    const last = pieces.at(-1)
    const heldMb = residentMb()
    pieces = null
    // V8 frees them on another thread, a moment after it has collected them.
    for (let tries = 0; process.memoryUsage().arrayBuffers > 20_000_000 && tries < 500; tries += 1) {
      gc()
      await new Promise(setImmediate)
    }
    const keptMb = residentMb()
    // DuckDB has done so a moment ago, and does it ten times a second at most.
    for (let tries = 0; residentMb() > keptMb - 70 && tries < 50; tries += 1) {
      await freed.giveBack()
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    console.log(JSON.stringify({ heldMb, keptMb, leftMb: residentMb(), last: last.length }))`
  const args = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module-typescript']
  const { stdout } = await promisify(execFile)(process.execPath, [...args, '--eval', program], {
    env: { ...process.env, ...MEMORY },
  })
  const resident: Resident = JSON.parse(stdout)
  return resident
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { longestBlock, MAX_BLOCKING_MS } from './blocking.ts'
import { startBrowser, type Looking } from './console-page.ts'

const compute = (steps: number): number => {
  let sum = 0
  for (let at = 0; at < steps; at += 1) sum = Math.imul(sum, 31) + at
  return sum
}
const STEPS = 1e8
/** Steps that a processor of this machine makes in one millisecond, whatever else it does. */
function stepsPerMs(): number {
  compute(STEPS)
  const before = process.threadCpuUsage()
  compute(STEPS)
  return (STEPS * 1_000) / process.threadCpuUsage(before).user
}

const PAGE = `<input autofocus><script>
  const steps = ${compute.toString()}
  const compute = ms => steps(ms * ${stepsPerMs()})
  compute(50)
  const input = document.querySelector('input')
</script>`

let browser: Looking
let page: Page
beforeAll(async () => {
  browser = await startBrowser()
  page = await browser.open()
  await page.goto(`data:text/html,${encodeURIComponent(PAGE)}`)
})
afterAll(() => browser[Symbol.asyncDispose]())

const typing = async (onInput: string, text = 'ab'): Promise<number> => {
  await page.evaluate(`input.oninput = () => { ${onInput} }`)
  return await longestBlock(page, () => page.keyboard.type(text, { delay: 30 }))
}

describe('the time for which a page is held up', () => {
  it('is little where the page does little', async () => {
    expect(await typing('')).toBeLessThan(MAX_BLOCKING_MS / 2)
  })

  it('is that of a task, which begins with an event or after it', async () => {
    expect(await typing('compute(100)')).toBeGreaterThan(MAX_BLOCKING_MS)
    expect(await typing('setTimeout(compute, 5, 100)')).toBeGreaterThan(MAX_BLOCKING_MS)
  })

  it('is that of what an event waits for, together with what is done for it', async () => {
    await page.evaluate('globalThis.others = setInterval(compute, 45, 35)')
    expect(await typing('compute(35)', 'what a person types')).toBeGreaterThan(MAX_BLOCKING_MS)
    await page.evaluate('clearInterval(others)')
  })

  it('is the same where other processes take the processors', async () => {
    await using _others = await busyProcesses(3 * availableParallelism())
    expect(await typing('compute(20)')).toBeLessThan(MAX_BLOCKING_MS)
    expect(await typing('compute(100)')).toBeGreaterThan(MAX_BLOCKING_MS)
  })
})

async function busyProcesses(count: number): Promise<AsyncDisposable> {
  const busy = Array.from({ length: count }, () => spawn(process.execPath, ['-e', 'for (;;);']))
  await Promise.all(busy.map(child => once(child, 'spawn')))
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(busy.map(child => (child.kill('SIGKILL'), once(child, 'close'))))
    },
  }
}

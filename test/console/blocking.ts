/** For how long a page could not answer to what a person does, measured by the browser itself. */
import type { Page } from 'playwright-core'

/** Other work on the machine slows a page down at times, and never speeds it up. */
const MOST_TRIES = 5
/** An input that waits for longer feels slow. */
const MOST_MS = 50
/** On a machine whose cores have other work, too, the best of some tries may take twice as long. */
export const MOST_WHEN_BUSY_MS = 2 * MOST_MS

/** The browser counts tasks from 50 ms on. An input waits for at least so long. */
const OBSERVE = `
  globalThis.blocked = []
  new PerformanceObserver(list => blocked.push(...list.getEntries().map(entry => entry.duration)))
    .observe({ type: 'longtask' })
  new PerformanceObserver(list =>
    blocked.push(...list.getEntries().map(entry => entry.processingEnd - entry.startTime)))
    .observe({ type: 'event', durationThreshold: 16 })`

/** Before the page is first opened. */
export async function observeBlocking(page: Page): Promise<void> {
  await page.addInitScript(OBSERVE)
}

/**
 * The longest time in ms for which the page was busy with one task, or an event waited to be done with, while
 * somebody did this. It is the shortest such time of some tries, of which one within `MOST_MS` is enough.
 */
export async function longestBlock(page: Page, act: () => Promise<unknown>): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < MOST_TRIES && shortest > MOST_MS; tries += 1) {
    await page.evaluate('blocked.length = 0')
    await act()
    // Two frames and an idle time later the browser has told of what there was.
    const longest: unknown = await page.evaluate(`new Promise(resolve =>
      requestAnimationFrame(() => requestAnimationFrame(() =>
        requestIdleCallback(() => setTimeout(() => resolve(Math.max(0, ...blocked)))))))`)
    shortest = Math.min(shortest, Number(longest))
  }
  return shortest
}

/**
 * Measures the wait for the console's overview, with the browser's CPU throttled: `npm run
 * bench:first-screen`. Each time is a new visitor's, whose browser has nothing of the pages in store.
 */
import { parseArgs } from 'node:util'
import { startBrowser } from '../console/console-page.ts'
import { EXAMPLE_SYNC, exampleConsole } from '../console/example-console.ts'
import { median } from './median.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    throttle: { type: 'string', default: '4' },
    path: { type: 'string', default: '/' },
  },
})

/**
 * When the page was first drawn, when the link to the sync was, and when the last task of more than 50 ms
 * ended, in ms since its address was opened. The page sees that by itself: whoever asked it would slow it
 * down.
 */
const OBSERVE = `
  globalThis.seen = { paint: 0, shown: 0, quiet: 0 }
  new MutationObserver((_, observer) => {
    if (document.querySelector('a[href$="/syncs/${EXAMPLE_SYNC}"]') === null) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => { seen.shown = performance.now() }))
  }).observe(document, { childList: true, subtree: true })
  new PerformanceObserver(list => list.getEntries().forEach(entry => {
    if (entry.name === 'first-contentful-paint') seen.paint = entry.startTime
  })).observe({ type: 'paint', buffered: true })
  new PerformanceObserver(list => list.getEntries().forEach(entry => {
    seen.quiet = Math.max(seen.quiet, entry.startTime + entry.duration)
  })).observe({ type: 'longtask', buffered: true })`

await using example = await exampleConsole()
await using browser = await startBrowser()
const shown: number[] = []
const usable: number[] = []
const painted: number[] = []
for (let round = 0; round < Number(values.rounds); round += 1) {
  const page = await browser.open()
  await page.addInitScript(OBSERVE)
  const session = await page.context().newCDPSession(page)
  await session.send('Emulation.setCPUThrottlingRate', { rate: Number(values.throttle) })
  // The schemas of answers are the last script that the page loads by itself.
  const loaded = page.waitForEvent('requestfinished', request => request.url().includes('/assets/answers-'))
  await page.goto(`${example.served.url}${values.path}`, { waitUntil: 'commit' })
  await loaded
  await page.waitForLoadState('networkidle')
  await page.evaluate('new Promise(resolve => requestIdleCallback(resolve))')
  const seen = await page.evaluate<{ paint: number; shown: number; quiet: number }>('seen')
  painted.push(seen.paint)
  shown.push(seen.shown)
  usable.push(Math.max(seen.shown, seen.quiet))
  await page.context().close()
}
const line = (name: string, times: readonly number[]): string =>
  `${name}: ${median(times).toFixed(0)} ms (${Math.min(...times).toFixed(0)} – ${Math.max(...times).toFixed(0)})\n`
process.stdout.write(
  `The CPU throttled ${values.throttle} times, ${values.rounds} visits, medians with the least and the most.\n` +
    line('first drawn', painted) +
    line('the sync shown', shown) +
    line('shown, and no task of more than 50 ms after it', usable),
)

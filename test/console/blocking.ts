/**
 * For how long a page could not answer to what a person does, by the processor time of its main thread. Other
 * work on the machine makes tasks last longer, and gives them no more processor time. What waits without
 * computing is not seen: the pages have no such call, for example no synchronous request.
 */
import type { CDPSession, Page } from 'playwright-core'
import { z } from 'zod'

/** An input that waits for longer feels slow. */
export const MAX_BLOCKING_MS = 50
/**
 * A busy machine makes caches cold at times, and never warm. What the page's own code costs, it costs in each
 * try.
 */
const MAX_TRIES = 5

/** Tasks of threads, and the events that people cause, with times in µs of one clock. */
const CATEGORIES = ['devtools.timeline', 'disabled-by-default-devtools.timeline']
const threadNamed = z.object({
  ...{ name: z.literal('thread_name'), pid: z.number(), tid: z.number() },
  args: z.object({ name: z.string() }),
})
const taskRun = z.object({
  ...{ name: z.literal('RunTask'), ph: z.literal('X'), pid: z.number(), tid: z.number() },
  // A task that takes about no processor time has no `tdur`.
  ...{ ts: z.number(), dur: z.number().default(0), tdur: z.number().default(0) },
})
const eventTimed = z.object({
  ...{ name: z.literal('EventTiming'), ph: z.literal('b'), pid: z.number(), ts: z.number() },
  args: z.object({ data: z.object({ timeStamp: z.number(), processingEnd: z.number() }) }),
})
type Task = z.infer<typeof taskRun>

/**
 * The most processor time in ms that the page's main thread took for one task, or between an event and the
 * end of what was done for it, while somebody did this. It is the least such time of some tries, of which one
 * within `MAX_BLOCKING_MS` is enough. Not concurrently for pages of one browser.
 */
export async function longestBlock(page: Page, act: () => Promise<unknown>): Promise<number> {
  await using session = disposable(await page.context().newCDPSession(page))
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < MAX_TRIES && least > MAX_BLOCKING_MS; tries += 1)
    least = Math.min(least, longestIn(await traced(session.of, () => actAndSettle(page, act))))
  return least
}

const disposable = (of: CDPSession) => ({ of, [Symbol.asyncDispose]: () => of.detach() })

async function actAndSettle(page: Page, act: () => Promise<unknown>): Promise<void> {
  await act()
  // Two frames and an idle time later the page has done what it had to.
  await page.evaluate(`new Promise(resolve =>
    requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(resolve, { timeout: 1_000 }))))`)
}

/** The events that the browser recorded meanwhile. */
async function traced(session: CDPSession, act: () => Promise<void>): Promise<readonly unknown[]> {
  const events: unknown[] = []
  const collect = ({ value }: { readonly value: readonly unknown[] }): void => void events.push(...value)
  session.on('Tracing.dataCollected', collect)
  const complete = new Promise<{ readonly dataLossOccurred: boolean }>(resolve =>
    session.once('Tracing.tracingComplete', resolve),
  )
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { recordMode: 'recordUntilFull', includedCategories: CATEGORIES },
  })
  await act().finally(() => session.send('Tracing.end'))
  const { dataLossOccurred } = await complete
  session.off('Tracing.dataCollected', collect)
  if (dataLossOccurred) throw new Error('The browser did not keep all that it recorded. Do less at once.')
  return events
}

/** In ms. */
function longestIn(events: readonly unknown[]): number {
  const mains = new Set(
    allOf(threadNamed, events)
      .filter(({ args }) => args.name === 'CrRendererMain')
      .map(thread => thread.tid),
  )
  const tasks = allOf(taskRun, events).filter(({ tid, dur }) => mains.has(tid) && dur > 0)
  // Without tasks, nothing would ever be found to block.
  if (tasks.length === 0) throw new Error('The browser recorded no task of a page’s main thread.')
  const waits = allOf(eventTimed, events).map(({ pid, ts, args: { data } }) => {
    const until = ts + (data.processingEnd - data.timeStamp) * 1_000
    const within = tasks.filter(task => task.pid === pid && task.ts < until && task.ts + task.dur > ts)
    return within.reduce((sum, task) => sum + takenBetween(task, ts, until), 0)
  })
  return Math.max(...tasks.map(({ tdur }) => tdur), ...waits) / 1_000
}

/** As if a task's processor time were spread evenly over it. */
function takenBetween({ ts, dur, tdur }: Task, from: number, until: number): number {
  return tdur * ((Math.min(ts + dur, until) - Math.max(ts, from)) / dur)
}

const allOf = <Shape extends z.ZodType>(shape: Shape, events: readonly unknown[]): z.infer<Shape>[] =>
  events.flatMap(event => {
    const { success, data } = shape.safeParse(event)
    return success ? [data] : []
  })

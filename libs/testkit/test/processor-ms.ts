/** Others share the caches of the processor, and V8 compiles when it likes. */
const TRIES = 3

/**
 * Milliseconds of this thread's processor time that something takes: the least of some tries. Other work of
 * the machine makes it last longer, and counts little here.
 */
export async function processorMs(act: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < TRIES; tries += 1) {
    const start = process.threadCpuUsage()
    await act()
    const { user, system } = process.threadCpuUsage(start)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

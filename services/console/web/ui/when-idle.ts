/**
 * Calls back once the page has nothing else to do, and after `latestMs` in any case. Returns a function that
 * ends the wait. Safari has no such call of its own, and calls back at once.
 */
export function whenIdle(act: () => void, latestMs: number): () => void {
  if (!('requestIdleCallback' in window)) {
    act()
    return () => undefined
  }
  const idle = requestIdleCallback(act, { timeout: latestMs })
  return () => cancelIdleCallback(idle)
}

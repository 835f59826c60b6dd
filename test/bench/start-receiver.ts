/** Starts the receiver in a process of its own, so that its work is not part of what is measured. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

const receiverStats = z.object({
  requests: z.number(),
  /** Counts the marker in all bodies; by default the marker is `"id":`. */
  rows: z.number(),
  bytes: z.number(),
  /** Arrival of the first and last request, in ms since 1970; null before the first. */
  firstAt: z.number().nullable(),
  lastAt: z.number().nullable(),
  /** CPU time of the receiver since it was reset. */
  cpuSeconds: z.number(),
  /** Requests to `/slow`, which count in nothing else. */
  slow: z.number(),
  /** How old rows were when they arrived, in ms; null before the first, and without `ages`. */
  ages: z.object({ p50: z.number(), p99: z.number(), most: z.number() }).nullable(),
})
export type ReceiverStats = z.infer<typeof receiverStats>

export interface Receiver extends AsyncDisposable {
  readonly url: string
  stats(): Promise<ReceiverStats>
  reset(): Promise<void>
}

/** Resolves once the receiver listens. Disposing ends its process and waits until it is gone. */
export async function startReceiver(
  options: { readonly delayMs?: number; readonly marker?: string; readonly ages?: boolean } = {},
): Promise<Receiver> {
  const args = [fileURLToPath(new URL('receiver.ts', import.meta.url))]
  if (options.delayMs !== undefined) args.push('--delay', String(options.delayMs))
  if (options.marker !== undefined) args.push('--marker', options.marker)
  if (options.ages === true) args.push('--ages')
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const first = await Promise.race([once(lines, 'line'), gone.then(() => null)])
  const url: unknown = first?.[0]
  if (typeof url !== 'string') throw new Error('the receiver ended before it listened')
  const ask = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json()
  return {
    url,
    stats: async () => receiverStats.parse(await ask('/stats')),
    reset: async () => void (await ask('/reset')),
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await gone
    },
  }
}

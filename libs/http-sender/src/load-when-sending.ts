/** Loads the client of a sender with the first request, since loading takes longer than many runs. */
import type { HttpSender } from './port.ts'

/**
 * Calls `load` once, with the first request, which waits for it. If it fails, so does each request. A sender
 * that is disposed before its first request loads nothing.
 */
export function loadWhenSending(load: () => Promise<HttpSender>): HttpSender {
  let loading: Promise<HttpSender> | null = null
  return {
    async send(request) {
      loading ??= load()
      const sender = await loading
      return sender.send(request)
    },
    async [Symbol.asyncDispose]() {
      const sender = await loading
      await sender?.[Symbol.asyncDispose]()
    },
  }
}

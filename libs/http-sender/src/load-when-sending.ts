/** A sender whose client is loaded with the first request, since loading one takes longer than many a run. */
import type { HttpSender } from './port.ts'

/**
 * `load` is called once, with the first request, whose time it takes; if it fails, so does each request.
 * Disposing a sender that has sent nothing loads nothing.
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

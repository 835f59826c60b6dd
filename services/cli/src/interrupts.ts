/** Signals and events that end the process from outside. */
import { EXIT } from './exit-codes.ts'

/**
 * Returns an abort signal. The first SIGINT, SIGTERM or SIGHUP aborts it, and the second one ends the process
 * at once with 130. The process also ends if the launcher that started it is gone, or if nobody reads its
 * output any more.
 */
export function listenForInterrupts(target: NodeJS.Process): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    target.on(name, () => {
      if (controller.signal.aborted) target.exit(EXIT.interrupted)
      controller.abort(new DOMException(`interrupted by ${name}`, 'AbortError'))
    })
  }
  // If the launcher is killed, its child ends too, as if both were one process.
  target.on('disconnect', () => target.kill(target.pid, 'SIGKILL'))
  target.channel?.unref()
  target.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') target.exit(EXIT.success)
  })
  return controller.signal
}

/** How the process ends from outside. */
import { EXIT } from './exit-codes.ts'

/**
 * A signal that the first SIGINT, SIGTERM or SIGHUP aborts; a second one ends the process at once with 130.
 * If a launcher started this process and is gone, or nobody reads what is printed any more, the process ends.
 */
export function listenForInterrupts(target: NodeJS.Process): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    target.on(name, () => {
      if (controller.signal.aborted) target.exit(EXIT.interrupted)
      controller.abort(new DOMException(`interrupted by ${name}`, 'AbortError'))
    })
  }
  // A killed launcher takes its child with it, as if there were one process.
  target.on('disconnect', () => target.kill(target.pid, 'SIGKILL'))
  target.channel?.unref()
  target.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') target.exit(EXIT.success)
  })
  return controller.signal
}

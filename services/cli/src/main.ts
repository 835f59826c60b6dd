/** The process of the command `sluice`. */
import { EXIT } from './exit-codes.ts'
import { calledCommand } from './output/called.ts'
import { runCli } from './run-cli.ts'

const signal = listenForInterrupts(process)
/** Failed writes to stdout, such as on a full disk. */
const writeErrors: Error[] = []
process.stdout.on('error', (error: Error) => writeErrors.push(error))
const END_WITHIN_MS = 10_000
const cwd = workingFolder()
const exitCode = await runCli({
  argv: process.argv.slice(2),
  cwd,
  command: calledCommand(process.env, cwd),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal,
  endSoon: (code, say) =>
    void setTimeout(() => {
      say()
      process.exit(code)
    }, END_WITHIN_MS).unref(),
})
await new Promise(resolve => process.stdout.write('', resolve))
if (writeErrors[0] !== undefined)
  process.stderr.write(`error: The output cannot be written: ${writeErrors[0].message}\n`)
process.exit(writeErrors.length > 0 && exitCode === EXIT.success ? EXIT.failed : exitCode)

/** Returns the current folder. If it was removed, Node throws, and the shell still knows its path. */
function workingFolder(): string {
  try {
    return process.cwd()
  } catch {
    return process.env['PWD'] ?? '/'
  }
}

/**
 * Returns an abort signal. The first SIGINT, SIGTERM or SIGHUP aborts it, and the second one ends the process
 * at once with 130. The process also ends if the launcher that started it is gone, or if nobody reads its
 * output any more.
 */
function listenForInterrupts(target: NodeJS.Process): AbortSignal {
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

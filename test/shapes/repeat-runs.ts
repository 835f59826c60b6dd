/**
 * Runs command lines of `sluice` in this one process, each when its parent says so. Whatever a run leaves
 * behind adds up here. Forked by command-line.ts.
 */
import { runCli } from '@sluice/cli/run-cli'

/** A message to the process: the arguments of one command line, under an id. */
export interface ToRepeater {
  readonly id: number
  readonly argv: readonly string[]
}
/** Its answer, once that command line has ended. */
export interface FromRepeater {
  readonly id: number
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const { signal } = new AbortController()

process.on('message', (message: ToRepeater) => void run(message))
process.on('disconnect', () => process.exit(0))

async function run({ id, argv }: ToRepeater): Promise<void> {
  const printed = { stdout: '', stderr: '' }
  const sink = (name: keyof typeof printed) => ({
    isTTY: false,
    write: (text: string, done?: () => void) => {
      printed[name] += text
      done?.()
      return true
    },
  })
  const streams = { stdout: sink('stdout'), stderr: sink('stderr') }
  const exitCode = await runCli({ argv, cwd: process.cwd(), env: process.env, signal, ...streams })
  const answer: FromRepeater = { id, exitCode, ...printed }
  process.send?.(answer)
}

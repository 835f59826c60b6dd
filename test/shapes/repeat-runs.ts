/**
 * Runs command lines of `sluice` one after the other in this one process, each when its parent says so, so
 * that whatever a run leaves behind adds up here. Forked by command-line.ts.
 */
import { runCli } from '@sluice/cli/run-cli'

/** What goes to it: the arguments of one command line. */
export type ToRepeater = readonly string[]
/** What comes from it. */
export interface FromRepeater {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const { signal } = new AbortController()

process.on('message', (argv: ToRepeater) => void run(argv))
process.on('disconnect', () => process.exit(0))

async function run(argv: ToRepeater): Promise<void> {
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
  const answer: FromRepeater = { exitCode, ...printed }
  process.send?.(answer)
}

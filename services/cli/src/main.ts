/** The process of the command `sluice`. */
import { listenForInterrupts } from './interrupts.ts'
import { calledCommand } from './output/called.ts'
import { runCli } from './run-cli.ts'

const signal = listenForInterrupts(process)
const exitCode = await runCli({
  argv: process.argv.slice(2),
  cwd: process.cwd(),
  command: calledCommand(process.env, process.cwd()),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal,
})
await new Promise(resolve => process.stdout.write('', resolve))
process.exit(exitCode)

/**
 * Runs `sluice` on the Node 24 that is installed beside the project as the npm package `node`. Plain
 * JavaScript, since an older Node reads it.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { environmentOf, FLAGS } from '../../../libs/runtime/bin/node-settings.mjs'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/** The path of the bundled Node, or a message and the exit code for wrong usage. */
export function bundledNode() {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  try {
    const require = createRequire(import.meta.url)
    const path = join(dirname(require.resolve('node/package.json')), 'bin', file)
    if (existsSync(path)) return path
  } catch {
    // The package is not installed; told below.
  }
  console.error(
    `sluice needs Node 24, found ${process.version}, and the bundled one is not installed: run \`npm ci\`, or start sluice with Node 24.`,
  )
  process.exit(2)
}

/**
 * Runs on another Node as a child in a process group of its own, so that an interrupt from the terminal
 * reaches it once, through this process. The channel between the two tells the child when this process is
 * killed, so that it never outlives it.
 */
export function runOn(node, args) {
  const child = spawn(node, [...FLAGS, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: environmentOf(process.env),
    detached: process.platform !== 'win32',
  })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  process.on('SIGTSTP', () => {
    child.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  })
  process.on('SIGCONT', () => child.kill('SIGCONT'))
  child.on('error', error => {
    console.error(`sluice could not start ${node}: ${error.message}`)
    process.exit(2)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const name of SIGNALS) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

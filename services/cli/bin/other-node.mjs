/**
 * Runs `sluice` on the Node 24 that npm has installed beside it, where an older one was called. Plain
 * JavaScript, since that one reads it.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { environmentOf, FLAGS } from '../../../libs/runtime/bin/node-settings.mjs'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/** The path of a Node that npm has installed beside Sluice. Without one, the process ends with a message. */
export function nodeBeside() {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const prefix = `${platform}-${process.arch}` === 'darwin-arm64' ? 'node-bin' : 'node'
  const ofPlatform = `${prefix}-${platform}-${process.arch}`
  const file = platform === 'win' ? 'node.exe' : 'node'
  const require = createRequire(import.meta.url)
  for (const name of ['node', ofPlatform]) {
    try {
      const path = join(dirname(require.resolve(`${name}/package.json`)), 'bin', file)
      if (existsSync(path)) return path
    } catch {
      // This package is not installed.
    }
  }
  console.error(
    `sluice needs Node 24 or later, and this is Node ${process.versions.node}.\n` +
      `Install it from https://nodejs.org, or beside sluice for this folder alone: npm install ${ofPlatform}@24`,
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

#!/usr/bin/env node
/**
 * Starts `sluice` on a Node that runs its TypeScript: as this very process if it is Node 24 or later, else on
 * the Node 24 that is installed beside the project as the npm package `node`. Plain JavaScript, since any
 * Node may be the one that reads it.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { environmentOf, FLAGS, runHere } from '../../../libs/runtime/bin/node-settings.mjs'
import { startUrl } from '../../../libs/runtime/bundle/fresh-bundle.mjs'

const MAIN = startUrl(new URL('../src/main.ts', import.meta.url))
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

if (Number.parseInt(process.versions.node, 10) >= 24) await runHere(MAIN, process.argv.slice(2))
else runOn(bundledNode())

/** The path of the bundled Node, or a message and the exit code for wrong usage. */
function bundledNode() {
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
function runOn(node) {
  const child = spawn(node, [...FLAGS, fileURLToPath(MAIN), ...process.argv.slice(2)], {
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

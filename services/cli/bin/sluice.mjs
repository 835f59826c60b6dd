#!/usr/bin/env node
/**
 * Starts `sluice`, or a service of a distributed Sluice with `sluice service NAME`, on Node 24 or later: as
 * this very process, or on a Node that is installed beside it. Plain JavaScript, since any Node may read it.
 */
import { fileURLToPath } from 'node:url'
import { runHere } from '../../../libs/runtime/bin/node-settings.mjs'

const SERVICES = {
  'change-detector': new URL('../../change-detector/src/main.ts', import.meta.url),
  renderer: new URL('../../renderer/src/main.ts', import.meta.url),
  delivery: new URL('../../delivery/src/main.ts', import.meta.url),
  console: new URL('../../console/src/main.ts', import.meta.url),
}
const COMMAND = new URL('../src/main.ts', import.meta.url)

const args = process.argv.slice(2)
// The command has the help of `sluice service`, and explains other arguments than a name.
const isService = args.length === 2 && args[0] === 'service' && Object.hasOwn(SERVICES, args[1])
const started = isService ? { main: SERVICES[args[1]], args: [] } : { main: COMMAND, args }

if (Number.parseInt(process.versions.node, 10) >= 24) await runHere(started.main, started.args)
else {
  // To load what starts another process takes longer than all else here.
  const { nodeBeside, runOn } = await import('./other-node.mjs')
  runOn(nodeBeside(), [fileURLToPath(started.main), ...started.args])
}

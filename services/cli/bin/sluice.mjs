#!/usr/bin/env node
/**
 * Starts `sluice` on a Node that runs its TypeScript: as this very process if it is Node 24 or later, else on
 * the Node 24 that is installed beside the project as the npm package `node`. Plain JavaScript, since any
 * Node may be the one that reads it.
 */
import { fileURLToPath } from 'node:url'
import { runHere } from '../../../libs/runtime/bin/node-settings.mjs'
import { startUrl } from '../../../libs/runtime/bundle/fresh-bundle.mjs'

const main = startUrl(new URL('../src/main.ts', import.meta.url))
const args = process.argv.slice(2)

if (Number.parseInt(process.versions.node, 10) >= 24) await runHere(main, args)
else {
  // To load what starts another process takes longer than all else here.
  const { bundledNode, runOn } = await import('./other-node.mjs')
  runOn(bundledNode(), [fileURLToPath(main), ...args])
}

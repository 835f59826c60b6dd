/**
 * Starts a service: `node start-service.mjs FILE`, with FILE relative to the folder that npm starts it in.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runHere } from './node-settings.mjs'

const [file = '', ...args] = process.argv.slice(2)
await runHere(pathToFileURL(resolve(file)), args)

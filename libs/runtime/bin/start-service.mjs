/**
 * Starts a service: `node start-service.mjs FILE`, with FILE relative to the folder that npm starts it in.
 * The bundle of the services takes the place of the file, if it has it and no source has changed since.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startUrl } from '../bundle/fresh-bundle.mjs'
import { runHere } from './node-settings.mjs'

const [file = '', ...args] = process.argv.slice(2)
await runHere(startUrl(pathToFileURL(resolve(file))), args)

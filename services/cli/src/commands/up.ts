/** `sluice up`. */
import { loggerFor } from '../cli-logger.ts'
import type { Command } from '../command.ts'
import { openUp } from '../compose.ts'
import type { Up } from '../folder/serve-folder.ts'
import { EXIT } from '../exit-codes.ts'
import { showEnvironment, teller } from '../output/notice.ts'

export const command: Command = {
  description:
    'Serves the project: it runs the syncs of this folder on their schedules and when it is asked to, with the console and the API on 127.0.0.1:4747. Commands in this folder go through it, and so do commands elsewhere with `SLUICE_URL=http://127.0.0.1:4747`.\n' +
    'It loads the folder when it starts. Later edits count after `sluice apply`. Ctrl-C or SIGTERM ends it: requests on their way are finished, and the next start goes on with what is left.\n' +
    'SLUICE_HOST and SLUICE_PORT choose another address. Beyond this machine it wants a SLUICE_TOKEN.',
  serves: true,
  positionals: [],
  options: {},
  exits: { 0: 'it was interrupted, and ended cleanly', 1: 'a service failed for good' },
  examples: [
    { command: 'sluice up', does: 'serves the folder until it is interrupted' },
    { command: 'SLUICE_PORT=8080 sluice up', does: 'on another port' },
  ],
  async run(context) {
    const { dir, env, signal, json, stdout } = context
    const logger = await loggerFor(context)
    await using up = await openUp({ dir, env, logger, signal, tell: teller(context) })
    const { url, syncs } = up
    showEnvironment(context)
    stdout.write(json ? `${JSON.stringify({ url, syncs })}\n` : servingText(up))
    await up.ended
    return EXIT.success
  },
}

function servingText({ url, syncs, streams }: Pick<Up, 'url' | 'syncs' | 'streams'>): string {
  const names = syncs.length === 0 ? 'no sync yet' : syncs.join(', ')
  const each = streams.map(name => `  stream ${name}: each change is sent as it comes\n`).join('')
  return `sluice serves ${url}\n  syncs  ${names}\n${each}  API    ${url}/api/v1/openapi.json\n  Ctrl-C ends it\n`
}

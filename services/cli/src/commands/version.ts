/** `sluice version`. */
import manifest from '../../package.json' with { type: 'json' }
import type { Command } from '../command.ts'
import { EXIT } from '../exit-codes.ts'

/** The version of Sluice, from its package. */
export function sluiceVersion(): string {
  return manifest.version
}

export const command: Command = {
  description: 'Prints the version of Sluice and of the Node that it runs on.',
  positionals: [],
  options: {},
  anywhere: true,
  examples: [{ command: 'sluice version --json', does: 'for scripts' }],
  async run({ json, stdout }) {
    const version = { version: sluiceVersion(), node: process.versions.node }
    stdout.write(json ? `${JSON.stringify(version)}\n` : `sluice ${version.version} (Node ${version.node})\n`)
    return EXIT.success
  },
}

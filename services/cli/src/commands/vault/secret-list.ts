/** `sluice secret list`. */
import type { Command } from '../../command.ts'
import { terminalColumns } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { secretsText } from '../../output/secrets-table.ts'
import { withSecrets } from '../../open-control.ts'

export const command: Command = {
  description:
    'Lists the secrets of the vault: their names, where they may go, since when, who set them, and the id of the key that they are encrypted with. It never shows a value.\n' +
    'A login is what Sluice itself keeps of a destination with `auth: { oauth2 }`, such as its refresh token.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice secret list', does: 'what is in the vault' }],
  async run(context) {
    const { stdout, signal, json, color } = context
    const { secrets } = await withSecrets(context, control => control.call('listSecrets', {}, { signal }))
    if (json) stdout.write(`${JSON.stringify({ secrets })}\n`)
    else stdout.write(secretsText(secrets, { color, columns: terminalColumns(stdout) }))
    return EXIT.success
  },
}

/** `sluice secret list`. */
import type { Command } from '../../command.ts'
import { terminalColumns } from '../../command.ts'
import { EXIT } from '../../exit-codes.ts'
import { secretsText } from '../../output/secrets-table.ts'
import { withVault } from '../../vault/with-vault.ts'

export const command: Command = {
  description:
    'Lists the secrets of the vault: their names, where they may go, since when, and the id of the key that they are encrypted with. It never shows a value.\n' +
    'A login is what Sluice itself keeps of a destination with `auth: { oauth2 }`, such as its refresh token.',
  positionals: [],
  options: {},
  examples: [{ command: 'sluice secret list', does: 'what is in the vault' }],
  async run(context) {
    const { stdout, json, color } = context
    const secrets = await withVault(context, vault =>
      Promise.resolve(
        vault.list().map(({ kind, name, grants, since, sealedBy }) => {
          return { kind, name, for: grants, since: new Date(since).toISOString(), key: sealedBy }
        }),
      ),
    )
    if (json) stdout.write(`${JSON.stringify({ secrets })}\n`)
    else stdout.write(secretsText(secrets, { color, columns: terminalColumns(stdout) }))
    return EXIT.success
  },
}

/** `sluice secret remove`. */
import { SluiceError } from '@sluice/contracts/errors'
import { booleanOption, type Command } from '../../command.ts'
import { EXIT } from '../../exit-codes.ts'
import { painter } from '../../output/paint.ts'
import { withVault } from '../../vault/with-vault.ts'

export const command: Command = {
  description:
    'Removes a secret from the vault, for all processes. A run that needs it later waits for it, or fails.\n' +
    'With --login it removes what Sluice keeps of the destination of that name, so that it has to log in anew.',
  positionals: [{ name: 'NAME', required: true, help: 'the name of the secret' }],
  options: { login: { type: 'boolean', help: 'NAME is a destination, whose tokens are removed' } },
  examples: [{ command: 'sluice secret remove crm-token', does: 'remove a secret' }],
  async run(context) {
    const { args, stdout, signal, json, color } = context
    const name = args.positionals[0] ?? ''
    const kind = booleanOption(args, 'login') ? 'login' : 'secret'
    const removed = await withVault(context, vault => vault.remove({ kind, name }, { signal }))
    if (!removed)
      throw new SluiceError(
        'not-found',
        `The vault has no ${kind} \`${name}\`. \`sluice secret list\` lists what it has.`,
      )
    stdout.write(
      json ? `${JSON.stringify({ removed: name })}\n` : `${painter(color)('green', '✓')} removed ${name}\n`,
    )
    return EXIT.success
  },
}

/** `sluice secret remove`. */
import { booleanOption, type Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { painter, safe } from '../../output/paint.ts'
import { withSecrets } from '../../open-control.ts'

export const command: Command = {
  description:
    'Removes a secret from the vault, for all processes. A run that needs it later waits for it, or fails.\n' +
    'With --login it removes what Sluice keeps of the destination of that name, so that it has to log in anew.',
  positionals: [{ name: 'NAME', required: true, help: 'the name of the secret' }],
  options: { login: { type: 'boolean', help: 'NAME is a destination, whose tokens are removed' } },
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice secret remove crm-token', does: 'remove a secret' }],
  async run(context) {
    const { args, stdout, signal, json, color } = context
    const name = args.positionals[0] ?? ''
    const kind = booleanOption(args, 'login') ? 'login' : 'secret'
    const view = await withSecrets(context, control =>
      control.call('removeSecret', { kind, name }, { signal }),
    )
    const text = `${painter(color)('green', '✓')} removed ${safe(view.removed)}\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

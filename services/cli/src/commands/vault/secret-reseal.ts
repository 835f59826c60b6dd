/** `sluice secret reseal`. */
import type { Command } from '../../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { painter } from '../../output/paint.ts'
import { withSecrets } from '../../open-control.ts'

export const command: Command = {
  description:
    'Encrypts everything in the vault with the first key of SLUICE_ENCRYPTION_KEY again. Use it to replace a key: put the new one first, in all processes, reseal, and then take the old one out.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice secret reseal', does: 'leave nothing encrypted with an older key' }],
  async run(context) {
    const { stdout, signal, json, color } = context
    const view = await withSecrets(context, control => control.call('resealSecrets', {}, { signal }))
    const text = `${painter(color)('green', '✓')} ${view.resealed} encrypted anew\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

/** `sluice alerts test`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command } from '../../command.ts'
import { EXIT } from '../../exit-codes.ts'
import { openControl } from '../../open-control.ts'

export const command: Command = {
  description:
    'Sends a test notice to whom the alert names, and waits until it was taken. It changes no state. If the notice is not taken, the message has the reason, and the exit code is 5.',
  positionals: [{ name: 'ALERT', required: true, help: 'the alert to test' }],
  options: {},
  exits: { 5: 'the notice was not taken, or what the project runs on cannot be reached' },
  examples: [{ command: 'sluice alerts test team', does: 'shows whether notices arrive' }],
  async run(context) {
    const { stdout, signal, json, args } = context
    const [name] = args.positionals
    if (name === undefined || name === '') throw new SluiceError('usage', '`sluice alerts test` wants ALERT.')
    await using control = await openControl(context)
    const tested = await control.call('testAlert', { name }, { signal })
    stdout.write(json ? `${JSON.stringify(tested)}\n` : `A test notice went to ${tested.to}.\n`)
    return EXIT.success
  },
}

/** `sluice secret set`. */
import { textOption, type Command } from '../../command.ts'
import { mask } from '../../cli-logger.ts'
import { EXIT, EXITS_OF_ASKING } from '../../exit-codes.ts'
import { painter, safe } from '../../output/paint.ts'
import { readSecret } from '../../vault/read-secret.ts'
import { withSecrets } from '../../open-control.ts'
import { keptName } from '@sluice/secrets/vault/vault'

export const command: Command = {
  description:
    'Keeps a secret in the vault, encrypted, for `${secret:NAME}`. A secret of the environment with that name goes before it.\n' +
    'It asks for the value, hidden, on a terminal, and otherwise reads it from stdin to its end. A value is never an argument: others would see it.\n' +
    'Without --for, a secret that is there keeps its grants. Services on Kafka refuse a secret without any.',
  positionals: [{ name: 'NAME', required: true, help: 'the name of the secret' }],
  options: {
    for: {
      type: 'text',
      value: 'HOSTS',
      help: 'the hosts that it may go to, between commas, each as host, host:port or *.domain',
    },
  },
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice secret set crm-token --for api.example.com', does: 'ask for the value, and keep it' },
    { command: 'sluice secret set crm-token < token.txt', does: 'take the value from a file' },
  ],
  async run(context) {
    const { args, stdin, stdout, stderr, signal, json, color } = context
    const name = keptName(args.positionals[0] ?? '')
    const value = await readSecret(stdin, { text: `Value of ${name} (not shown)`, stderr, signal })
    // Also where the vault is another process'.
    mask(value)
    const grants = textOption(args, 'for')
    const view = await withSecrets(context, control =>
      control.call('setSecret', { name, value, for: grants }, { signal }),
    )
    const paint = painter(color)
    const where =
      view.for === null ? 'It has no grant: --for says where it may go.' : `It may go to ${view.for}.`
    const text = `${paint('green', '✓')} ${view.replaced ? 'replaced' : 'kept'} ${name}. ${safe(where)}\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

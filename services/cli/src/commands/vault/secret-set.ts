/** `sluice secret set`. */
import { textOption, type Command } from '../../command.ts'
import { EXIT } from '../../exit-codes.ts'
import { painter, safe } from '../../output/paint.ts'
import { readSecret } from '../../vault/read-secret.ts'
import { withVault } from '../../vault/with-vault.ts'
import { keptName } from '@sluice/vault/vault'

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
  examples: [
    { command: 'sluice secret set crm-token --for api.example.com', does: 'ask for the value, and keep it' },
    { command: 'sluice secret set crm-token < token.txt', does: 'take the value from a file' },
  ],
  async run(context) {
    const { args, stdin, stdout, stderr, signal, json, color } = context
    const name = keptName(args.positionals[0] ?? '')
    const value = await readSecret(stdin, { text: `Value of ${name} (not shown)`, stderr, signal })
    const view = await withVault(context, async vault => {
      const known = vault.list().find(each => each.kind === 'secret' && each.name === name)
      // Grants that nobody with the key has set are not kept.
      const grants = textOption(args, 'for') ?? vault.grantsOf('secret', name)
      await vault.set({ kind: 'secret', name, value, grants }, { signal })
      return { name, for: grants, replaced: known !== undefined }
    })
    const paint = painter(color)
    const where =
      view.for === null ? 'It has no grant: --for says where it may go.' : `It may go to ${view.for}.`
    const text = `${paint('green', '✓')} ${view.replaced ? 'replaced' : 'kept'} ${name}. ${safe(where)}\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

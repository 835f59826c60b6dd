/** The commands of the vault: `sluice secret set`, `list`, `remove` and `reseal`. */
import { keptName } from '@sluice/secrets/vault/vault'
import { readSecret } from '../ask-person.ts'
import { mask } from '../cli-logger.ts'
import { booleanOption, terminalColumns, textOption, type Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { withSecrets } from '../open-control.ts'
import { painter, safe } from '../output/paint.ts'
import { table } from '../output/table.ts'

export const setCommand: Command = {
  description:
    'Keeps a secret in the vault, encrypted, for `${secret:NAME}`. A secret of the environment with that name takes precedence.\n' +
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
    // Another process may have the vault open. It masks the value only in its own output.
    mask(value)
    const grants = textOption(args, 'for')
    const view = await withSecrets(context, control =>
      control.call('setSecret', { name, value, for: grants }, { signal }),
    )
    const paint = painter(color)
    const where =
      view.for === null ? 'It has no grant: --for says where it may go.' : `It may go to ${view.for}.`
    const done = `${paint('green', '✓')} ${view.replaced ? 'replaced' : 'kept'} ${name}. ${safe(where)}\n`
    const text = view.variable === undefined ? done : `${done}${safe(before(view.variable))}\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

const before = (variable: string): string =>
  `${variable} of the environment goes before the vault, so runs go on with its value. Change it there, or unset it.`

export const listCommand: Command = {
  description:
    'Lists the secrets of the vault: their names, where they may go, since when, who set them, and the id of the key that they are encrypted with. It never shows a value.\n' +
    'A login is what Sluice itself keeps of a destination with `auth: { oauth2 }`, such as its refresh token.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice secret list', does: 'what is in the vault' }],
  async run(context) {
    const { stdout, signal, json, color } = context
    const view = await withSecrets(context, control => control.call('listSecrets', {}, { signal }))
    if (json) stdout.write(`${JSON.stringify(view)}\n`)
    else stdout.write(secretsText(view.secrets, { color, columns: terminalColumns(stdout) }))
    return EXIT.success
  },
}

export const removeCommand: Command = {
  description:
    'Removes a secret from the vault, for all processes. A run that needs it later waits for it, or fails.\n' +
    'With --login, NAME is a destination: it removes the tokens of its login, and somebody has to log in again.',
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

export const resealCommand: Command = {
  description:
    'Encrypts everything in the vault with the first key of SLUICE_ENCRYPTION_KEY again. Use it to replace a key: put the new one first, in all processes, reseal, and then take the old one out.',
  positionals: [],
  options: {},
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice secret reseal', does: 'leave nothing encrypted with an older key' }],
  async run(context) {
    const { stdout, signal, json, color } = context
    const view = await withSecrets(context, control => control.call('resealSecrets', {}, { signal }))
    const text = `${painter(color)('green', '✓')} ${view.resealed} encrypted again\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

/** A secret as `sluice secret list --json` has it. */
interface ListedSecret {
  readonly kind: string
  readonly name: string
  readonly for: string | null
  readonly since: string
  /** The person who set it. A server of an earlier version does not say. */
  readonly by?: string | null | undefined
  readonly key: string
}

export function secretsText(
  secrets: readonly ListedSecret[],
  { color, columns }: { readonly color: boolean; readonly columns: number | null },
): string {
  if (secrets.length === 0) return 'The vault is empty. `sluice secret set NAME` keeps a secret.\n'
  const titles = ['NAME', 'KIND', 'FOR', 'SINCE', 'BY', 'KEY']
  const lines = table(
    titles.map(title => ({ title, shrinks: title === 'FOR' })),
    secrets.map(({ name, kind, for: places, since, by, key }) =>
      [name, kind, places ?? '', since.slice(0, 16), by ?? '', key].map(safe),
    ),
    { width: columns, paint: painter(color) },
  )
  return `${lines.join('\n')}\n`
}

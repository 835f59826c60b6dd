/** `sluice auth`. */
import { SluiceError } from '@sluice/contracts/errors'
import { loadProject } from '@sluice/project/load-project'
import { userName } from '@sluice/runtime/machine/user-name'
import { namesOf } from '@sluice/project/project'
import { confirmed } from '../ask-person.ts'
import { listenForCallback } from './await-callback.ts'
import { booleanOption, numberOption, type Command, type TextSource } from '../command.ts'
import { assertVaultHere, logIn, redirectOf } from '../compose.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { teller } from '../output/notice.ts'
import { painter, safe } from '../output/paint.ts'
import { loggerFor } from '../cli-logger.ts'

export const command: Command = {
  description:
    'Logs in to a destination with `auth: { oauth2: { grant: authorization-code } }`, and keeps its tokens in the vault, encrypted. It prints the URL to open in a browser, and waits for the browser to come back to a port of this machine.\n' +
    'Over SSH, open the URL on your own machine. The browser then ends at an address that does not answer: paste that address here.\n' +
    'The login may go to the hosts that the destination names now. After another baseUrl or tokenUrl, log in again.',
  positionals: [{ name: 'DESTINATION', required: true, help: 'the destination to log in to' }],
  options: {
    port: {
      type: 'number',
      value: 'PORT',
      min: 0,
      max: 65_535,
      help: 'the port of http://127.0.0.1:PORT/callback, if the server knows it by that (default: any)',
    },
    yes: { type: 'boolean', help: 'log in without asking whether these hosts may have the login' },
  },
  exits: EXITS_OF_ASKING,
  examples: [{ command: 'sluice auth crm', does: 'log in to the destination crm' }],
  async run(context) {
    const { args, dir, env, signal, stdin, stdout, stderr, json, color } = context
    const name = args.positionals[0] ?? ''
    const tell = teller(context)
    const options = { dir, env, logger: await loggerFor(context), signal, tell }
    assertVaultHere(options)
    const project = await loadProject(dir, { env, signal })
    const destination = project.resources.get(`destination/${name}`)
    if (destination?.kind !== 'destination')
      throw new SluiceError(
        'not-found',
        `There is no destination \`${name}\`; the project has ${namesOf(project, 'destination').join(', ') || 'none'}.`,
      )
    const redirect = await redirectOf(destination)
    await using callback = await listenForCallback(redirect, numberOption(args, 'port') ?? 0)
    await using login = await logIn(options, destination, callback.redirectUri)
    const goesTo = `The code of this login goes to ${login.codeTo}, and its tokens may go to ${login.grants}.`
    const isSure = booleanOption(args, 'yes')
    if (!isSure && stdin.isTTY !== true)
      throw new SluiceError(
        'usage',
        `${goesTo} \`sluice auth\` asks whether it may, and nobody can answer here: \`--yes\` logs in without a question.`,
      )
    const answers = keptOpen(stdin)
    if (isSure) stderr.write(`${safe(goesTo)}\n`)
    else if (!(await confirmed(`${safe(goesTo)} Log in?`, { ...context, stdin: answers }))) {
      stderr.write('The login was not started.\n')
      return EXIT.success
    }
    stderr.write(`Open this URL in a browser, and log in:\n\n${login.url}\n\n`)
    stderr.write('If the browser runs on another machine, paste the address that it ends at here.\n')
    const grant = await callback.first(login.grantOf, { stdin: answers, tell, signal })
    const { grants, renews } = await login.finish(grant, { signal, by: userName() })
    if (!renews)
      tell(
        'the server gave no refresh token, so somebody has to log in again when this login ends; many servers want the scope offline_access for one',
      )
    const view = { destination: name, for: grants, renews }
    const text = `${painter(color)('green', '✓')} logged in to ${name}. The login may go to ${safe(grants)}.\n`
    stdout.write(json ? `${JSON.stringify(view)}\n` : text)
    return EXIT.success
  },
}

/** Lets readers share stdin one after the other: each reader goes on where the last one stopped. */
function keptOpen(stdin: TextSource): TextSource {
  const lines = stdin[Symbol.asyncIterator]()
  return { [Symbol.asyncIterator]: () => ({ next: () => lines.next() }) }
}

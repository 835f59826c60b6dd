/** `sluice preview`. */
import type { PreviewView } from '@sluice/contracts/api'
import { OPS } from '@sluice/contracts/state'
import type { Preview, PreviewInput } from '@sluice/control/port'
import { numberOption, textOption, type Command, type CommandContext } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { KEY_OPTION, keyOption, outputOptions } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { previewEnd, previewHead, previewItem } from '../output/preview-text.ts'

/** The text shows this many requests, unless `--rows` asks for more. */
const SHOWN_REQUESTS = 20

export const command: Command = {
  description:
    'Reads the model, finds what changed since it was last delivered, and shows the requests that the next run would send: URL, headers and body as they would go out, secrets masked.\n' +
    'It sends nothing and changes nothing. Rows that cannot become a request are shown with the reason, and the exit code is 3.\n' +
    '--rows, --key and --trigger choose rows first. The requests are then those of these rows alone, as if no other row had changed.\n' +
    'If no row waits for the trigger that --trigger names, a row of the model shows what its request looks like. It is marked as a sample.',
  positionals: [{ name: 'SYNC', required: true, help: 'the sync to look at' }],
  options: {
    rows: {
      type: 'number',
      value: 'N',
      min: 1,
      max: 1_000_000,
      help: `only the first N rows (default: all, of which the text shows ${SHOWN_REQUESTS} requests)`,
    },
    key: KEY_OPTION,
    trigger: { type: 'text', value: 'TRIGGER', choices: OPS, help: 'only added, changed or removed rows' },
  },
  exits: {
    3: 'rows are invalid, or cannot become a request',
    5: 'a source, or what the project runs on, cannot be reached',
  },
  examples: [
    { command: 'sluice preview customers', does: 'what the next run would send' },
    {
      command: 'sluice preview customers --trigger removed --rows 1',
      does: 'what the request of a removed row looks like',
    },
    { command: 'sluice preview customers --key 42 --json', does: 'the request of one row, for scripts' },
  ],
  async run(context) {
    const { args, signal, json } = context
    const name = textOption(args, 'trigger')
    const asked = {
      sync: args.positionals[0] ?? '',
      trigger: OPS.find(candidate => candidate === name),
      key: keyOption(args),
      rows: numberOption(args, 'rows'),
    }
    await using control = await openControl(context)
    await using next = await control.preview('preview', asked, { signal })
    if (json) return await printJson(context, next, asked)
    const { spec } = await control.call('getResource', { kind: 'sync', name: asked.sync }, { signal })
    return await printText(context, next, { ...asked, isStream: spec['schedule'] === 'continuous' })
  },
}

/**
 * Renders everything before it writes anything, so that an error is the only JSON document on stdout. It
 * keeps the output in pieces, since all of it may exceed the largest string that JavaScript allows.
 */
async function printJson(
  { stdout }: CommandContext,
  next: Preview,
  asked: PreviewInput<'preview'>,
): Promise<ExitCode> {
  const requests: string[] = []
  const rejected: NonNullable<PreviewView['rejected']> = []
  let isSample = false
  for await (const { kind, ...previewed } of next.requests) {
    isSample = previewed.sample === true
    if ('error' in previewed) rejected.push(previewed)
    else requests.push(JSON.stringify(previewed))
  }
  const { counts, invalidRows } = next
  const rest = {
    ...(isSample ? { sample: true } : {}),
    ...(rejected.length === 0 ? {} : { rejected }),
    ...(invalidRows.length === 0 ? {} : { invalidRows }),
  }
  stdout.write(`{"sync":${JSON.stringify(asked.sync)},"counts":${JSON.stringify(counts)},"requests":[`)
  for (const [index, request] of requests.entries()) stdout.write(index === 0 ? request : `,${request}`)
  stdout.write(
    `]${Object.entries(rest)
      .map(([name, value]) => `,"${name}":${JSON.stringify(value)}`)
      .join('')}}\n`,
  )
  return exitCode(next, rejected.length > 0)
}

async function printText(
  context: CommandContext,
  next: Preview,
  { isStream, ...asked }: PreviewInput<'preview'> & { readonly isStream: boolean },
): Promise<ExitCode> {
  const { stdout } = context
  const options = outputOptions(context)
  stdout.write(previewHead(asked.sync, next, options))
  const maxShown = asked.rows === undefined ? SHOWN_REQUESTS : Number.MAX_SAFE_INTEGER
  let shown = 0
  let rows = 0
  let isCut = false
  let isRejected = false
  let isSample = false
  for await (const previewed of next.requests) {
    if (shown === maxShown) {
      isCut = true
      break
    }
    shown += 1
    rows += previewed.keys.length
    isRejected ||= previewed.kind === 'rejected'
    isSample = previewed.sample === true
    stdout.write(previewItem(previewed, options))
  }
  stdout.write(
    previewEnd(next, { sync: asked.sync, narrowing: asked, shown, rows, isCut, isStream, isSample }, options),
  )
  return exitCode(next, isRejected)
}

function exitCode({ rowsInvalid }: Preview, isRejected: boolean): ExitCode {
  return isRejected || rowsInvalid > 0 ? EXIT.warning : EXIT.success
}

/** `sluice run`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { ResourceView } from '@sluice/contracts/api'
import type { Control, FollowedRun, Following } from '@sluice/control/port'
import { syncsWith, unknownSync } from '@sluice/control/unknown-names'
import { askAndShow, askForAll, askForEach } from '../ask-and-show.ts'
import { duration } from '@sluice/contracts/specs/plain-values'
import { booleanOption, textOption, type Command, type CommandContext } from '../command.ts'
import { openControl } from '../open-control.ts'
import type { FirstRun } from '../compose.ts'
import { EXIT, EXITS_OF_RUNS, type ExitCode } from '../exit-codes.ts'
import { LABEL_OPTION } from '../history-options.ts'
import { printError } from '../output/error.ts'
import { showEnvironment, teller } from '../output/notice.ts'
import { chooseFirstRun, FIRST_RUN_OPTION } from './first-run.ts'

const PAGE = 1_000

export const command: Command = {
  description:
    'Reads the model, finds the rows that were added, changed or removed since they were last delivered, sends the requests, and waits for the outcome.\n' +
    'Rows that are not delivered are tried again on the next run (with `delivery: at-most-once` not those that may have arrived). Ctrl-C ends the run cleanly: the next run sends what was not sent yet.\n' +
    'Several syncs run one after the other, or all at once with `--together`, and the exit code is that of the run that went worst. If another process works in this folder, it runs the sync. A sync that runs there, or is queued, is refused, or waits with `--wait`.',
  positionals: [
    { name: 'SYNC', required: false, repeats: true, help: 'the sync to run, or several of them' },
  ],
  options: {
    all: { type: 'boolean', help: 'run all syncs, in the order of their names' },
    label: { ...LABEL_OPTION, help: 'run all syncs with this label, in the order of their names' },
    together: { type: 'boolean', help: 'run several syncs at once instead of one after the other' },
    wait: { type: 'boolean', help: 'wait for a run of the sync that is under way, and then run it again' },
    'first-run': FIRST_RUN_OPTION,
    timeout: {
      type: 'text',
      value: 'DURATION',
      help: 'cancel the runs that have not ended after this time, such as 30m, and exit with 5',
    },
  },
  exits: EXITS_OF_RUNS,
  examples: [
    { command: 'sluice run customers', does: 'one run, with progress and a summary' },
    {
      command: 'sluice run customers --json',
      does: 'for scripts: the run as JSON; the exit code tells how it went',
    },
    { command: 'sluice run customers orders', does: 'one run each; with --json, a list of them' },
    { command: 'sluice run --all --timeout 30m', does: 'for CI: no longer than that' },
    { command: 'sluice run --all', does: 'one run of each sync' },
    { command: 'sluice run --label crm', does: 'one run of each sync with this label' },
    { command: 'sluice run --all --together', does: 'the same, all at once' },
  ],
  async run(context) {
    const text = textOption(context.args, 'timeout')
    return text === undefined ? await runSyncs(context) : await runWithin(context, text)
  },
}

/** Runs the syncs, and cancels the runs that have not ended in time. */
async function runWithin(context: CommandContext, text: string): Promise<ExitCode> {
  const read = duration.safeParse(text)
  if (!read.success)
    throw new SluiceError(
      'usage',
      `\`--timeout\` wants a duration such as 90s, 30m or 2h, found \`${text}\`.`,
    )
  const late = new AbortController()
  const error = new SluiceError(
    'unreachable',
    `\`--timeout ${text}\` has passed, so the command cancelled the runs that it waited for. \`sluice runs\` shows what became of them.`,
  )
  const timer = setTimeout(() => {
    late.abort(error)
    context.endSoon(error)
  }, read.data)
  const { signal, json, stderr, errorColor: color, called } = context
  try {
    const code = await runSyncs({ ...context, signal: AbortSignal.any([signal, late.signal]) })
    if (code !== EXIT.interrupted || signal.aborted) return code
    if (!json) stderr.write(printError(error, { color, called }))
    return EXIT.unreachable
  } catch (thrown) {
    throw late.signal.aborted && !signal.aborted ? error : thrown
  } finally {
    clearTimeout(timer)
  }
}

async function runSyncs(context: CommandContext): Promise<ExitCode> {
  const { positionals } = context.args
  const isAll = booleanOption(context.args, 'all')
  const label = textOption(context.args, 'label')
  if (isAll && positionals.length > 0)
    throw new SluiceError('usage', '`--all` runs every sync: name none beside it.')
  if (label !== undefined && (isAll || positionals.length > 0))
    throw new SluiceError(
      'usage',
      '`--label` chooses the syncs to run: neither name a sync beside it, nor give `--all`.',
    )
  if (!isAll && label === undefined && (positionals.length === 0 || positionals.includes('')))
    throw new SluiceError(
      'usage',
      '`sluice run` wants SYNC: the sync to run, or `--label`, or `--all`. `sluice run --help` explains it.',
    )
  const names = label === undefined ? positionals : await labelled(label, context)
  const queues = booleanOption(context.args, 'wait')
  const firstRun = await chooseFirstRun(context, isAll ? null : names, () => openControl(context))
  if (firstRun === null) return EXIT.success
  showEnvironment(context)
  const [name] = names
  if (name !== undefined && names.length === 1 && label === undefined) {
    const input = { name, queues }
    const ask = async (control: Control, following: Following): Promise<FollowedRun> => {
      const syncs = await syncsOf(control, context.signal)
      if (syncs.some(sync => sync.name === name && isStream(sync))) throw streamsOnly([name])
      return await control.ask('run', input, following)
    }
    return await askAndShow(context, ask, { firstRun })
  }
  const asks = booleanOption(context.args, 'together') ? askForAll : askForEach
  return await runSeveral(context, { names: isAll ? null : names, queues, asks, firstRun })
}

/** Throws for an unknown name before anything runs. `names` is null for all syncs. */
async function runSeveral(
  context: CommandContext,
  {
    names,
    queues,
    asks,
    firstRun,
  }: {
    readonly names: readonly string[] | null
    readonly queues: boolean
    readonly asks: typeof askForEach
    readonly firstRun: FirstRun | undefined
  },
): ReturnType<typeof askForEach> {
  // The whole project has to be right, since a sync with a mistake would be left out silently.
  await using control = await openControl(context, { isWhole: true, firstRun })
  const syncs = await syncsOf(control, context.signal)
  const known = syncs.map(({ name }) => name)
  for (const name of names ?? []) if (!known.includes(name)) throw unknownSync(name, known)
  if (known.length === 0)
    throw new SluiceError('usage', 'The project has no sync to run. `sluice init` writes a project with one.')
  const streams = syncs.filter(isStream).map(({ name }) => name)
  const asked = names === null ? known : [...new Set(names)]
  const wanted = asked.filter(name => !streams.includes(name))
  if (wanted.length === 0) throw streamsOnly(asked)
  const left = asked.filter(name => streams.includes(name))
  if (left.length > 0)
    teller(context)(
      `${streamsInWords(left)}, so the command leaves ${left.length === 1 ? 'it' : 'them'} out.`,
    )
  return await asks(
    context,
    control,
    wanted.map(name => ({ name, queues })),
  )
}

const isStream = ({ spec: { schedule } }: ResourceView): boolean => schedule === 'continuous'

/** For example `people` and `orders` are streams, which `sluice up` follows. */
function streamsInWords(names: readonly string[]): string {
  const all = names.map(name => `\`${name}\``)
  return names.length === 1
    ? `${all.join('')} is a stream, which \`sluice up\` follows`
    : `${all.slice(0, -1).join(', ')} and ${all.at(-1) ?? ''} are streams, which \`sluice up\` follows`
}

/** The error for a command that names streams alone. Their runs have no end that a command could wait for. */
function streamsOnly(names: readonly string[]): SluiceError {
  return new SluiceError(
    'usage',
    `${streamsInWords(names)}. For a run that compares the whole table, give the sync another \`schedule\`, such as \`{ every: 15m }\` or \`manual\`.`,
  )
}

/** The names of the syncs with the label. Throws if there is none. */
async function labelled(label: string, context: CommandContext): Promise<readonly string[]> {
  await using control = await openControl(context, { isWhole: true })
  const syncs = await syncsOf(control, context.signal)
  return syncsWith(
    label,
    syncs.map(({ name, spec: { labels } }) => ({
      name,
      labels: Array.isArray(labels) ? labels.map(String) : [],
    })),
  )
}

async function syncsOf(control: Control, signal: AbortSignal): Promise<readonly ResourceView[]> {
  const syncs: ResourceView[] = []
  let after: string | undefined
  do {
    const { resources, next } = await control.call('listResources', { limit: PAGE, after }, { signal })
    syncs.push(...resources.filter(({ kind }) => kind === 'sync'))
    after = next ?? undefined
  } while (after !== undefined)
  return syncs
}

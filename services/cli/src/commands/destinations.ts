/** `sluice destinations`. */
import type { DestinationsPage } from '@sluice/contracts/api/operating'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import type { Command } from '../command.ts'
import { EXIT, EXITS_OF_ASKING } from '../exit-codes.ts'
import { PAGING_OPTIONS, outputOptions, pagingOf } from '../history-options.ts'
import { openControl } from '../open-control.ts'
import { asTyped, type Called } from '../output/called.ts'
import { showEnvironment } from '../output/notice.ts'
import { painter, safe, type Paint } from '../output/paint.ts'
import { table } from '../output/table.ts'
import { elapsedShort, number, timesFromNow, type OutputOptions } from '../output/wording.ts'

export const command: Command = {
  description:
    'Lists the destinations: the health of each with its reason, when something was last sent there, and how many requests are under way.',
  positionals: [],
  options: PAGING_OPTIONS,
  exits: EXITS_OF_ASKING,
  examples: [
    { command: 'sluice destinations', does: 'all destinations' },
    { command: 'sluice destinations --json', does: 'for scripts' },
  ],
  async run(context) {
    const { args, json, stdout, signal } = context
    await using control = await openControl(context)
    const page = await control.call('listDestinations', pagingOf(args), { signal })
    const options = { ...outputOptions(context), now: Date.now() }
    showEnvironment(context)
    stdout.write(json ? `${JSON.stringify(page)}\n` : destinationsText(page, options))
    return EXIT.success
  },
}

function ago(at: string | null, now: number): string {
  return at === null ? '' : `${elapsedShort(now - Date.parse(at))} ago`
}

type Destination = DestinationsPage['destinations'][number]

/**
 * The destinations of a page, by name. Below the table are the reasons of those that need attention, and the
 * commands that help.
 */
function destinationsText(
  { destinations, next }: DestinationsPage,
  options: OutputOptions & { readonly now: number },
): string {
  const { columns, now, called, color } = options
  const paint = painter(color)
  if (destinations.length === 0)
    return `There is no destination yet. \`${asTyped('sluice init', called)}\` writes a project with one.\n`
  const lines = table(
    [
      { title: 'DESTINATION', shrinks: true },
      { title: 'HEALTH', style: (cell, text) => painted(text, cell, paint) },
      { title: 'LAST ATTEMPT', align: 'right' },
      { title: 'UNDER WAY', align: 'right', drops: true },
    ],
    destinations.map(({ name, health, concurrency: { limit, inUse } }) => [
      safe(name),
      health === undefined ? 'unknown' : DESTINATION_STATES[health.state].text,
      ago(health?.lastAttemptAt ?? null, now),
      inUse === null ? '' : `${number(inUse)} of ${number(limit)}`,
    ]),
    { width: columns, paint },
  )
  for (const destination of destinations) lines.push(...reasonOf(destination, { called, paint, now }))
  if (next !== null) lines.push(paint('dim', `more: --after ${safe(next)}`))
  return `${lines.join('\n')}\n`
}

/**
 * Says why a destination needs somebody, and what to do; nothing for one that is well, or was not used
 * lately.
 */
function reasonOf(
  { name, health }: Destination,
  {
    called,
    paint,
    now,
  }: { readonly called: Called | undefined; readonly paint: Paint; readonly now: number },
): readonly string[] {
  if (health === undefined) return []
  const { tone } = DESTINATION_STATES[health.state]
  if (tone === 'good' || tone === 'calm') return []
  const { fix, until } = health
  const again = until === null ? '' : ` Sluice tries again at ${until}.`
  const told = safe(timesFromNow(`${health.reason}${again}`, now))
  const act = fix?.act === 'log-in' ? `sluice auth ${fix.name}` : `sluice secret set ${fix?.name ?? ''}`
  const todo = fix === null ? '' : ` \`${asTyped(act, called)}\` mends that.`
  return [`${paint(tone === 'bad' ? 'red' : 'yellow', `${safe(name)}:`)} ${told}${todo}`]
}

const COLORS = { good: 'green', warn: 'yellow', bad: 'red', calm: 'dim' } as const

function painted(text: string, cell: string, paint: Paint): string {
  const state = Object.values(DESTINATION_STATES).find(known => known.text === text)
  return state === undefined ? cell : paint(COLORS[state.tone], cell)
}

/** The benchmark's table, on the terminal and in docs/PERFORMANCE.md. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import type { Contestant, Figures, Work } from './contestants.ts'
import { median } from './median.ts'

const PAGE = fileURLToPath(new URL('../../docs/PERFORMANCE.md', import.meta.url))
const [BEGIN, END] = ['<!-- written by npm run bench: begin -->', '<!-- written by npm run bench: end -->']

/** One work of the table, and what each contestant needed for it, round by round. */
export interface Played {
  readonly name: string
  readonly title: string
  readonly setting: Work
  /** The first is ours, the second the loop that it is compared with. */
  readonly contestants: readonly Contestant[]
  readonly figures: ReadonlyMap<Contestant, Figures[]>
}

/** Prints the table. With `intoDocs`, it takes the place of the one in docs/PERFORMANCE.md. */
export async function writeTable(
  works: readonly Played[],
  of: { readonly rows: number; readonly rounds: number; readonly intoDocs: boolean },
): Promise<void> {
  const text = `${machine(of)}\n\n${table(works)}\n\n${parts(works)}\n\n${guarantees(works)}`
  console.log(text)
  if (!of.intoDocs) return
  const page = await readFile(PAGE, 'utf8')
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no place for the table: ${BEGIN} … ${END}`)
  const written = `${page.slice(0, begin)}${BEGIN}\n\n${text}\n\n${page.slice(end)}`
  await writeFile(PAGE, await format(written, { ...(await resolveConfig(PAGE)), filepath: PAGE }))
}

function machine({ rows, rounds }: { readonly rows: number; readonly rounds: number }): string {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `Measured on ${new Date().toISOString().slice(0, 10)} with Node ${process.versions.node} on ${cpus().length} cores (${first?.model.trim() ?? 'unknown'}, ${memory} GiB), which also ran Kafka, the registry, Redis and the receiver. The load was ${loadavg()[2]?.toFixed(1) ?? '?'} over the last 15 minutes. Medians of ${rounds} rounds, with the least and the most; ${rows.toLocaleString('en')} rows of about 200 bytes and 7 columns in works with batches.`
}

function table(works: readonly Played[]): string {
  const head = [
    'work',
    'contestant',
    'rows/s',
    'to the loop',
    'CPU s per million rows',
    'peak MB',
    'receiver, µs a request',
  ]
  const lines = works.flatMap(({ title, contestants, figures }) => {
    const loop = median(figuresOf(figures, contestants[1]).map(each => each.rowsPerSecond))
    return contestants.map((contestant, place) => {
      const taken = figuresOf(figures, contestant)
      const speeds = taken.map(each => each.rowsPerSecond)
      const cells = [
        place === 0 ? title : '',
        contestant.name,
        `${whole(median(speeds))} (${whole(Math.min(...speeds))} – ${whole(Math.max(...speeds))})`,
        (median(speeds) / loop).toFixed(2),
        median(taken.map(each => each.cpuSecondsPerMillionRows)).toFixed(1),
        whole(median(taken.map(each => each.peakRssMb))),
        median(taken.map(each => each.receiverPerRequest)).toFixed(1),
      ]
      return cells
    })
  })
  return markdown(head, lines)
}

/** Works of several processes, process by process. */
function parts(works: readonly Played[]): string {
  const lines = works.flatMap(({ title, setting, contestants, figures }) =>
    contestants.flatMap(contestant => {
      const taken = figuresOf(figures, contestant)
      const names = Object.keys(taken[0]?.used ?? {})
      if (names.length < 2) return []
      return names.map((name, place) => {
        const used = taken.flatMap(each => each.used[name] ?? [])
        const cpu = median(used.map(each => (each.cpuSeconds / setting.rows) * 1e6))
        return [
          place === 0 ? title : '',
          name,
          cpu.toFixed(1),
          whole(median(used.map(each => each.peakRssMb))),
        ]
      })
    }),
  )
  return markdown(['work', 'process', 'CPU s per million rows', 'peak MB'], lines)
}

function guarantees(works: readonly Played[]): string {
  const contestants = new Map(works.flatMap(work => work.contestants.map(each => [each.name, each] as const)))
  return markdown(
    ['contestant', 'version', 'guarantees'],
    [...contestants.values()].map(({ name, version = '', guarantees: promised }) => [
      name,
      version,
      promised,
    ]),
  )
}

function figuresOf(
  figures: ReadonlyMap<Contestant, Figures[]>,
  contestant: Contestant | undefined,
): Figures[] {
  return contestant === undefined ? [] : (figures.get(contestant) ?? [])
}

export function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [head, head.map(() => '---'), ...lines]
  return all.map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString('en')
}

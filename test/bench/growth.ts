/**
 * Measures how the cost of a row grows: with rows, processes, partitions, and syncs at once. What stays level
 * is told by CPU seconds per million rows; those of a start weigh more the fewer rows there are. Run: npm run
 * bench:growth [-- --rows 200000 --only rows|processes|partitions|syncs]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServices } from '../../deploy/local/services.ts'
import { benchData } from './bench-data.ts'
import { markdown } from './bench-report.ts'
import { measure, type Contestant } from './contestants.ts'
import { distributed, embedded } from './ours.ts'
import { startReceiver } from './start-receiver.ts'

const BATCH = 100

interface Step {
  readonly contestant: Contestant
  readonly rows: number
  readonly title: string
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '200000' },
    only: { type: 'string', multiple: true },
  },
})
const middle = Number(values.rows)

const dir = await mkdtemp(join(tmpdir(), 'sluice-growth-'))
try {
  await using running = await startServices(['kafka', 'registry', 'redis'], { sustainedKafka: true })
  await using receiver = await startReceiver()
  const ground = { ...benchData(dir, running.get('kafka').address), services: running.env }
  const series: { readonly [name: string]: readonly Step[] } = {
    rows: [1 / 20, 1 / 2, 5, 25].map(times => {
      const rows = middle * times
      return { contestant: embedded(ground), rows, title: `${rows.toLocaleString('en')} rows, embedded` }
    }),
    processes: [1, 2, 4].map(processes => ({
      contestant: distributed(ground, { processes }),
      rows: middle,
      title: `${processes} of renderer and of delivery`,
    })),
    partitions: [4, 16, 64].map(partitions => ({
      contestant: distributed(ground, { partitions }),
      rows: middle,
      title: `${partitions} partitions, distributed`,
    })),
    syncs: [1, 50, 200].map(syncs => ({
      contestant: embedded(ground, { syncs }),
      rows: middle,
      title: `${syncs} syncs at once that share the rows, embedded`,
    })),
  }
  const lines: string[][] = []
  for (const [name, steps] of Object.entries(series).filter(([each]) => values.only?.includes(each) ?? true))
    for (const [place, { contestant, rows, title }] of steps.entries()) {
      const work = { rows, batch: BATCH, receiver }
      const taken = await measure(contestant, work, `${name}-${place}`)
      const speed = Math.round(taken.rowsPerSecond).toLocaleString('en')
      lines.push([title, speed, taken.cpuSecondsPerMillionRows.toFixed(1), String(taken.peakRssMb)])
      console.error(lines.at(-1)?.join(', '))
    }
  console.log(markdown(['with', 'rows/s', 'CPU s per million rows', 'peak MB'], lines))
} finally {
  await rm(dir, { recursive: true, force: true })
}

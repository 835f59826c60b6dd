/**
 * The benchmark: Sluice beside loops without promises and beside other software, on the same rows and the
 * same receiver. Contestants take turns in each round, so that a change of the machine's speed meets all.
 * Run: npm run bench [-- --help]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServices } from '../../deploy/local/services.ts'
import { writeTable, type Played } from './bench-report.ts'
import { benchData } from './bench-data.ts'
import { measure, type Contestant, type Work } from './contestants.ts'
import { distributed, embedded, fromChanges } from './ours.ts'
import { drt, fileLoop, kafkaConnect, topicLoop } from './peers.ts'
import { startReceiver } from './start-receiver.ts'

const HELP = `npm run bench -- [options]

  --rows N              rows of the works with batches; default 1000000. Works with a row a request have a
                        fifth of them, and those with a slow API a twentieth
  --rounds N            default 5; figures are medians
  --work NAME           one of the works, may be repeated; default all:
                        topic-batches, topic-single, topic-slow, file-distributed, file-batches, file-single
  --connect-plugin DIR  a folder with the jars of Aiven's HTTP sink; without it, Kafka Connect does not take part
  --no-drt              leaves drt out, which is installed from PyPI else
  --write               puts the table into docs/PERFORMANCE.md
`
const SLOW_MS = 20

const { values } = parseArgs({
  allowNegative: true,
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    work: { type: 'string', multiple: true },
    'connect-plugin': { type: 'string' },
    drt: { type: 'boolean', default: true },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const all = Number(values.rows)
const rounds = Number(values.rounds)

const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  await using running = await startServices(['kafka', 'registry', 'redis'], { sustainedKafka: true })
  await using fast = await startReceiver()
  await using slow = await startReceiver({ delayMs: SLOW_MS })
  const rows = benchData(dir, running.get('kafka').address)
  const ground = { ...rows, services: running.env }
  const plugin = values['connect-plugin']
  const connect = plugin === undefined ? [] : [await kafkaConnect(rows, plugin)]
  const python = values.drt ? [await drt(rows)] : []
  const ofTopic = [fromChanges(ground), topicLoop(rows, true), topicLoop(rows, false), ...connect]
  const ofFile = [embedded(ground), fileLoop(rows), ...python]
  const single = Math.ceil(all / 5)
  const works: readonly Played[] = [
    work('topic-batches', 'topic → HTTP, batches of 100', ofTopic, { rows: all, batch: 100, receiver: fast }),
    work('topic-single', 'topic → HTTP, one row a request', ofTopic, {
      ...{ rows: single, batch: 1, receiver: fast },
    }),
    work('topic-slow', `topic → HTTP, an API of ${SLOW_MS} ms, 100 in flight`, ofTopic.slice(0, 2), {
      ...{ rows: Math.ceil(all / 20), batch: 1, receiver: slow },
    }),
    work(
      'file-distributed',
      'CSV → HTTP through Kafka, batches of 100',
      [distributed(ground), fileLoop(rows)],
      {
        ...{ rows: all, batch: 100, receiver: fast },
      },
    ),
    work('file-batches', 'CSV → HTTP in one process, batches of 100', ofFile, {
      ...{ rows: all, batch: 100, receiver: fast },
    }),
    work('file-single', 'CSV → HTTP in one process, one row a request', ofFile, {
      ...{ rows: single, batch: 1, receiver: fast },
    }),
  ]
  const chosen = works.filter(({ name }) => values.work?.includes(name) ?? true)
  if (chosen.length === 0) throw new Error(`there is no such work\n${HELP}`)
  for (const each of chosen) await play(each)
  await writeTable(chosen, { rows: all, rounds, intoDocs: values.write })
} finally {
  await rm(dir, { recursive: true, force: true })
}

function work(name: string, title: string, contestants: readonly Contestant[], setting: Work): Played {
  return { name, title, contestants, setting, figures: new Map(contestants.map(each => [each, []])) }
}

async function play({ name, contestants, setting, figures }: Played): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const [place, contestant] of contestants.entries()) {
      const taken = await measure(contestant, setting, `${name}-${round}-${place}`)
      figures.get(contestant)?.push(taken)
      const [speed, cpu] = [taken.rowsPerSecond, taken.cpuSecondsPerMillionRows]
      console.error(
        `${name} ${round + 1}/${rounds} ${contestant.name}: ${speed.toFixed(0)} rows/s, ${cpu.toFixed(1)} CPU s`,
      )
    }
}

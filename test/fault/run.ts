/**
 * Plays random histories of real processes that are killed: npm run test:fault -- [--runs 100].
 *
 * `--profile distributed` has the services as processes of their own, on the Kafka, registry and Redis that
 * SLUICE_KAFKA_BROKERS, SLUICE_SCHEMA_REGISTRY_URL and SLUICE_REDIS_URL name, else on local ones. `--seed N`
 * begins there. `--results FILE` keeps each seed with its result: the next call with that file goes on until
 * as many as `--runs` says have been played in all. `--streams` plays histories of streams, on services of
 * its own, of which Kafka stops at times.
 */
import { randomInt } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'
import { startServices, type LocalServices } from '../../deploy/local/services.ts'
import { playFaultHistory, type FaultProfile } from './fault-history.ts'
import { playStreamHistory } from './stream-history.ts'
import { ownWorld } from './stream-world.ts'

const USAGE =
  'usage: npm run test:fault -- [--runs N] [--seed N] [--side-by-side N] [--profile embedded|distributed] [--streams] [--results FILE]\n'
const SERVICE_VARIABLES = ['SLUICE_KAFKA_BROKERS', 'SLUICE_SCHEMA_REGISTRY_URL', 'SLUICE_REDIS_URL'] as const

interface Result {
  readonly seed: number
  readonly profile: FaultProfile
  readonly streams?: boolean
  readonly passed: boolean
}

/** Plays the history of a seed. */
interface Player extends AsyncDisposable {
  play(seed: number): Promise<{ readonly [figure: string]: number }>
}

async function runPlayer(profile: FaultProfile, program: string): Promise<Player> {
  const local = profile === 'distributed' ? await localServices() : null
  const env = { ...process.env, ...local?.env }
  const services = Object.fromEntries(SERVICE_VARIABLES.map(name => [name, env[name] ?? '']))
  return {
    play: async seed => ({ ...(await playFaultHistory(seed, profile, { services, program })) }),
    [Symbol.asyncDispose]: async () => local?.[Symbol.asyncDispose](),
  }
}

async function streamPlayer(profile: FaultProfile, program: string): Promise<Player> {
  const own = await ownWorld(profile, program)
  return {
    play: async seed => ({ ...(await playStreamHistory(seed, own.world)) }),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  }
}

const isProfile = (text: string): text is FaultProfile => text === 'embedded' || text === 'distributed'

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '100' },
      seed: { type: 'string' },
      'side-by-side': { type: 'string', default: '2' },
      profile: { type: 'string', default: 'embedded' },
      streams: { type: 'boolean', default: false },
      results: { type: 'string' },
    },
  })
  const [runs, sideBySide] = [Number(values.runs), Number(values['side-by-side'])]
  const { profile, results: file } = values
  const first = Number(values.seed ?? randomInt(2 ** 31))
  if (
    ![runs, sideBySide, first].every(Number.isSafeInteger) ||
    runs < 1 ||
    sideBySide < 1 ||
    !isProfile(profile)
  ) {
    process.stderr.write(USAGE)
    return 2
  }
  const isCounted = (result: Result): boolean =>
    result.profile === profile && (result.streams ?? false) === values.streams
  const earlier = file === undefined ? [] : readResults(file).filter(isCounted)
  const left = Math.max(0, runs - earlier.length)
  const program = join(await linkedBundle(), 'sluice.mjs')
  await using player = await (values.streams ? streamPlayer(profile, program) : runPlayer(profile, program))

  const sums: { [figure: string]: number } = {}
  const failed: number[] = []
  let played = 0
  const playOne = async (seed: number): Promise<void> => {
    let passed = true
    try {
      const figures = await player.play(seed)
      for (const [name, figure] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + figure
    } catch (error) {
      passed = false
      failed.push(seed)
      process.stdout.write(`${told(error)}\n`)
      process.stdout.write(
        `play it again: npm run test:fault -- --runs 1 --profile ${profile}${values.streams ? ' --streams' : ''} --seed ${seed}\n`,
      )
    }
    if (file !== undefined)
      appendFileSync(
        file,
        `${JSON.stringify({ seed, profile, streams: values.streams, passed } satisfies Result)}\n`,
      )
    played += 1
    if (played % 10 === 0 || played === left)
      process.stdout.write(`${new Date().toISOString()} ${played} of ${left}: ${JSON.stringify(sums)}\n`)
  }
  let next = first
  const playOn = async (): Promise<void> => {
    while (next < first + left) await playOne(next++)
  }
  await Promise.all(Array.from({ length: sideBySide }, playOn))

  const lost = [...earlier.filter(({ passed }) => !passed).map(({ seed }) => seed), ...failed]
  const from = left === 0 ? '' : `, seeds ${first} to ${first + left - 1}`
  const which = lost.length === 0 ? '' : `: seeds ${lost.join(', ')}`
  process.stdout.write(
    `${earlier.length + played} histories, ${profile}${from}; ${lost.length} failed${which}\n`,
  )
  return lost.length === 0 ? 0 : 1
}

/** What failed, and beneath it what failed in cleaning up. */
function told(error: unknown): string {
  if (error instanceof SuppressedError) return `${told(error.suppressed)}\n${told(error.error)}`
  return error instanceof Error ? error.message : String(error)
}

function readResults(file: string): readonly Result[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  return lines.map(line => {
    const result: Result = JSON.parse(line)
    return result
  })
}

async function localServices(): Promise<LocalServices | null> {
  const given = SERVICE_VARIABLES.every(name => (process.env[name] ?? '') !== '')
  return given ? null : startServices(['kafka', 'registry', 'redis'])
}

process.exitCode = await main()
// A command that hangs is what a history found, and must not keep this one.
process.exit()

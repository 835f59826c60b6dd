/**
 * Plays random histories of real processes that are killed: npm run test:fault -- [--runs 100].
 *
 * `--profile distributed` has the services as processes of their own, on the Kafka, registry and Redis that
 * SLUICE_KAFKA_BROKERS, SLUICE_SCHEMA_REGISTRY_URL and SLUICE_REDIS_URL name, else on local ones. `--seed N`
 * begins there. `--results FILE` keeps each seed with its result: the next call with that file goes on until
 * as many as `--runs` says have been played in all.
 */
import { randomInt } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { linkedBundle } from '../../deploy/package/linked-bundle.ts'
import { startServices, type LocalServices } from '../../deploy/local/services.ts'
import { playFaultHistory, type FaultProfile } from './fault-history.ts'

const USAGE =
  'usage: npm run test:fault -- [--runs N] [--seed N] [--side-by-side N] [--profile embedded|distributed] [--results FILE]\n'
const SERVICE_VARIABLES = ['SLUICE_KAFKA_BROKERS', 'SLUICE_SCHEMA_REGISTRY_URL', 'SLUICE_REDIS_URL'] as const

interface Result {
  readonly seed: number
  readonly profile: FaultProfile
  readonly passed: boolean
}

const isProfile = (text: string): text is FaultProfile => text === 'embedded' || text === 'distributed'

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '100' },
      seed: { type: 'string' },
      'side-by-side': { type: 'string', default: '2' },
      profile: { type: 'string', default: 'embedded' },
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
  const earlier = file === undefined ? [] : readResults(file).filter(result => result.profile === profile)
  const left = Math.max(0, runs - earlier.length)
  await using local = profile === 'distributed' ? await localServices() : null
  const env = { ...process.env, ...local?.env }
  const program = join(await linkedBundle(), 'sluice.mjs')
  const services = Object.fromEntries(SERVICE_VARIABLES.map(name => [name, env[name] ?? '']))

  const sums = { runs: 0, kills: 0, requests: 0, late: 0 }
  const failed: number[] = []
  let played = 0
  const playOne = async (seed: number): Promise<void> => {
    let passed = true
    try {
      const figures = await playFaultHistory(seed, profile, { services, program })
      for (const name of ['runs', 'kills', 'requests', 'late'] as const) sums[name] += figures[name]
    } catch (error) {
      passed = false
      failed.push(seed)
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
      process.stdout.write(
        `play it again: npm run test:fault -- --runs 1 --profile ${profile} --seed ${seed}\n`,
      )
    }
    if (file !== undefined)
      appendFileSync(file, `${JSON.stringify({ seed, profile, passed } satisfies Result)}\n`)
    played += 1
    if (played % 10 === 0 || played === left)
      process.stdout.write(`${new Date().toISOString()} ${played} of ${left}: ${JSON.stringify(sums)}\n`)
  }
  let next = first
  const player = async (): Promise<void> => {
    while (next < first + left) await playOne(next++)
  }
  await Promise.all(Array.from({ length: sideBySide }, player))

  const lost = [...earlier.filter(({ passed }) => !passed).map(({ seed }) => seed), ...failed]
  const from = left === 0 ? '' : `, seeds ${first} to ${first + left - 1}`
  const told = lost.length === 0 ? '' : `: seeds ${lost.join(', ')}`
  process.stdout.write(
    `${earlier.length + played} histories, ${profile}${from}; ${lost.length} failed${told}\n`,
  )
  return lost.length === 0 ? 0 : 1
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

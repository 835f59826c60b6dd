/**
 * Plays shapes in both profiles and prints a line for each: rows, bytes, seconds of each pass, peak memory of
 * each process, and whether it passed. Exit code 1 if one did not. Kafka runs with the settings that it ships
 * with. Run: npm run test:shapes [-- NAME… --profile embedded --scale 0.01 --within 600]
 */
import { parseArgs } from 'node:util'
import { startServices, type LocalServices, type ServiceName } from '../../deploy/local/services.ts'
import { playShape, type Setting } from './play-shape.ts'
import { findShape, SHAPES } from './shapes.ts'
import { headLine, resultLine } from './table.ts'

const PROFILES = ['embedded', 'distributed'] as const

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    profile: { type: 'string', multiple: true, default: [...PROFILES] },
    scale: { type: 'string', default: '1' },
    /** Seconds that a pass may take. */
    within: { type: 'string', default: '900' },
  },
})
const scale = Number(values.scale)
const profiles = PROFILES.filter(profile => values.profile.includes(profile))
const shapes = positionals.length === 0 ? SHAPES : positionals.map(name => findShape(name))

await using services = await startServices(wantedServices(), { stockKafka: true })
const setting = settingOf(services)
const print = (text: string): void => void process.stdout.write(`${text}\n`)
print(headLine())
let failed = 0
for (const { name } of shapes)
  for (const profile of profiles) {
    const played = await playShape(name, { ...setting, profile })
    print(resultLine(played))
    for (const problem of played.problems) print(`    ${problem}`)
    if (played.problems.length > 0) failed += 1
  }
print(failed === 0 ? 'all shapes passed' : `${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function wantedServices(): readonly ServiceName[] {
  const wanted: ServiceName[] = profiles.includes('distributed') ? ['kafka', 'registry', 'redis'] : []
  for (const dialect of ['postgres', 'mariadb'] as const)
    if (shapes.some(shape => shape.dialect === dialect)) wanted.push(dialect)
  return wanted
}

function settingOf({ env }: LocalServices): Omit<Setting, 'profile'> {
  const mariadb = env['SLUICE_TEST_MARIADB_URL']
  return {
    scale,
    services: env,
    databases: {
      postgres: env['SLUICE_TEST_POSTGRES_URL'] ?? null,
      mariadb: mariadb === undefined ? null : withoutPassword(mariadb),
    },
    // The PostgreSQL of the tests accepts any password.
    password: mariadb === undefined ? '' : new URL(mariadb).password,
    passWithinMs: Number(values.within) * 1000,
  }
}

function withoutPassword(url: string): string {
  const parsed = new URL(url)
  parsed.password = ''
  return parsed.href
}

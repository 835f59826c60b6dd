/**
 * Plays shapes in both profiles and prints a line for each: rows, bytes, seconds of each pass, peak memory of
 * each process, and whether it passed. Exit code 1 if one did not. Kafka runs with the settings that it ships
 * with. Run: npm run test:shapes [-- NAME… --profile embedded --scale 0.01 --within 600], or with --help.
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
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  process.stdout.write(helpText())
  process.exit(0)
}
const scale = positive('scale', values.scale)
positive('within', values.within)
const wrongProfile = values.profile.find(name => !PROFILES.some(profile => profile === name))
if (wrongProfile !== undefined) refuse(`--profile is one of ${PROFILES.join(', ')}, not ${wrongProfile}`)
const unknown = positionals.find(name => !SHAPES.some(shape => shape.name === name))
if (unknown !== undefined) refuse(`there is no shape ${unknown}; --help lists them`)
const profiles = PROFILES.filter(profile => values.profile.includes(profile))
const shapes = positionals.length === 0 ? SHAPES : positionals.map(name => findShape(name))

await using services = await startServices(wantedServices(), { stockKafka: true })
const setting = settingOf(services)
const print = (text: string): void => void process.stdout.write(`${text}\n`)
print(headLine())
const lines: string[] = []
const failed: string[] = []
for (const { name } of shapes)
  for (const profile of profiles) {
    // A shape that cannot even be played fails alone; the others go on.
    const played = await playShape(name, { ...setting, profile }).catch((error: unknown) => {
      print(`${name}, ${profile}: could not be played: ${String(error)}`)
      return null
    })
    if (played === null || played.problems.length > 0) failed.push(`${name} (${profile})`)
    if (played === null) continue
    lines.push(resultLine(played))
    print(resultLine(played))
    for (const problem of played.problems) print(`    ${problem}`)
  }
if (shapes.length * profiles.length > 1) print(['', headLine(), ...lines].join('\n'))
print(failed.length === 0 ? 'all shapes passed' : `${failed.length} failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

function helpText(): string {
  const names = SHAPES.map(({ name, rows }) => `  ${name.padEnd(20)} ${rows.toLocaleString('en')} rows`)
  return `Plays shapes: all, or those named. Prints a line for each as it ends, and a table at the end.

npm run test:shapes -- [NAME…] [options]

  --profile embedded|distributed  may be given twice; default: both
  --scale NUMBER                  plays that share of the rows; default: 1
  --within SECONDS                what a pass may take; default: 900
  -h, --help                      this text

Exit code 0: all passed. 1: one did not pass, or a process had too much memory. 2: wrong usage.

${names.join('\n')}
`
}

function positive(option: string, text: string): number {
  const number = Number(text)
  if (!(number > 0)) refuse(`--${option} is a number above 0, not ${text}`)
  return number
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(2)
}

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

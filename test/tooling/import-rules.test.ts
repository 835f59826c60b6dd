/**
 * The import rules are only worth something if they follow our imports and refuse what they forbid. One
 * overlay of the repository's layout gets a violation of every rule, another only what the rules allow; both
 * are cruised with the real configuration.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CONFIG = join(ROOT, '.dependency-cruiser.cjs')
const FOLDERS = ['libs', 'services', 'test', 'deploy']
const VENDORS = [
  '@duckdb/node-api',
  '@kafkajs/confluent-schema-registry',
  'avsc',
  'bottleneck',
  'croner',
  'fastify',
  'ioredis',
  'ipaddr.js',
  'kafkajs',
  'liquidjs',
  'mysql2',
  'nodemailer',
  'oauth4webapi',
  'pg',
  'pino',
  'prom-client',
  'undici',
  'vitest',
  'yaml',
  'zod',
]
const ROOMS = ['contracts', 'domain', 'flow', 'message-log', 'rate-limit', 'runs', 'testkit']
const SERVICES = ['cli', 'console', 'delivery', 'embedded', 'renderer']

const report = z.object({
  modules: z.array(
    z.object({
      source: z.string(),
      dependencies: z.array(z.object({ module: z.string(), resolved: z.string() })),
    }),
  ),
  summary: z.object({
    totalCruised: z.number(),
    totalDependenciesCruised: z.number(),
    violations: z.array(z.object({ from: z.string(), rule: z.object({ name: z.string() }) })),
  }),
})
const ruleSet = z.object({ forbidden: z.array(z.object({ name: z.string() })) })
type Report = z.infer<typeof report>
interface Files {
  readonly [path: string]: string
}

/** Files that keep the rules. The violations below import some of them. */
const OBEDIENT: Files = {
  'libs/contracts/src/errors.ts': `import { z } from 'zod'\nexport const code = z.string()`,
  'libs/domain/src/answers/outcome.ts': `import { code } from '@sluice/contracts/errors'\nexport const outcome = code`,
  'libs/flow/src/sleep.ts': `import { setTimeout } from 'node:timers/promises'\nexport const sleep = setTimeout`,
  'libs/message-log/src/port.ts': `import type { code } from '@sluice/contracts/errors'\nexport type Code = typeof code`,
  'libs/message-log/test/contract.ts': `import { it } from 'vitest'\nimport { clock } from '@sluice/testkit/clock'\nexport const suite = () => it('ticks', () => clock)`,
  'libs/message-log/test/order.ts': `export { it as keepsOrder } from 'vitest'`,
  'libs/message-log/src/adapters/kafka.ts': `import { Kafka } from 'kafkajs'\nimport { sleep } from '@sluice/flow/sleep'\nimport type { Code } from '../port.ts'\nexport const kafka = (code: Code) => [Kafka, sleep, code]`,
  'libs/message-log/src/adapters/kafka.contract.test.ts': `import { suite } from '../../test/contract.ts'\nimport { kafka } from './kafka.ts'\nexport const run = [suite, kafka]`,
  'libs/rate-limit/src/port.ts': `export interface RateLimit { readonly name: string }`,
  'libs/rate-limit/src/adapters/local.ts': `import Bottleneck from 'bottleneck'\nexport const local = Bottleneck`,
  'libs/testkit/test/clock.ts': `export const clock = 0`,
  'services/delivery/src/deliver.ts': `import type { Code } from '@sluice/message-log/port'\nexport const deliver = (code: Code) => code`,
  'services/delivery/src/compose.ts': `import { kafka } from '@sluice/message-log/adapters/kafka'\nimport { deliver } from './deliver.ts'\nexport const delivery = [kafka, deliver]`,
  'services/embedded/src/compose.ts': `import { delivery } from '@sluice/delivery/compose'\nexport const embedded = delivery`,
  'services/console/src/asked.ts': `export const asked = 0`,
  'services/cli/src/folder/hold.ts': `export { asked as held } from '@sluice/console/asked'`,
  'services/cli/src/compose.ts': `import { embedded } from '@sluice/embedded/compose'\nexport const place = embedded`,
  'deploy/local/ports.ts': `export const port = 0`,
  'test/e2e/run.ts': `import { local } from '@sluice/rate-limit/adapters/local'\nexport const limit = local`,
}

interface Violation {
  readonly rule: string
  readonly file: string
  readonly source: string
  /** Further files that the violation needs. */
  readonly besides?: Files
}

const VIOLATIONS: readonly Violation[] = [
  {
    rule: 'not-resolvable',
    file: 'libs/domain/src/lost.ts',
    source: `export { gone } from '@sluice/contracts/gone'`,
  },
  {
    rule: 'no-circular',
    file: 'libs/domain/src/hen.ts',
    source: `import { egg } from './egg.ts'\nexport const hen = () => egg`,
    besides: {
      'libs/domain/src/egg.ts': `import { hen } from './hen.ts'\nexport const egg = () => hen`,
    },
  },
  {
    rule: 'contracts-import-only-zod',
    file: 'libs/contracts/src/curious.ts',
    source: `export { outcome } from '@sluice/domain/answers/outcome'`,
  },
  {
    rule: 'domain-imports-only-contracts',
    file: 'libs/domain/src/reads-files.ts',
    source: `export { readFileSync } from 'node:fs'`,
  },
  {
    rule: 'the-machine-of-runs-is-pure',
    file: 'libs/runs/src/machine/step.ts',
    source: `export { sleep } from '@sluice/flow/sleep'`,
  },
  {
    rule: 'flow-stands-alone',
    file: 'libs/flow/src/knows-errors.ts',
    source: `export { code } from '@sluice/contracts/errors'`,
  },
  {
    rule: 'ports-import-only-contracts-and-domain',
    file: 'libs/flow/src/port.ts',
    source: `import type { Kafka } from 'kafkajs'\nexport type Client = Kafka`,
  },
  {
    rule: 'adapters-stay-in-their-room',
    file: 'libs/rate-limit/src/adapters/nosy.ts',
    source: `import type { Code } from '@sluice/message-log/port'\nexport type Nosy = Code`,
  },
  {
    rule: 'topics-are-read-by-log-and-codec',
    file: 'libs/sources/src/adapters/kafka/nosy.ts',
    source: `import { local } from '@sluice/rate-limit/adapters/local'\nexport const nosy = local`,
  },
  {
    rule: 'adapters-are-named-only-in-compose',
    file: 'services/renderer/src/render.ts',
    source: `export { kafka } from '@sluice/message-log/adapters/kafka'`,
  },
  {
    rule: 'services-do-not-import-services',
    file: 'services/renderer/src/compose.ts',
    source: `export { deliver } from '@sluice/delivery/deliver'`,
  },
  {
    rule: 'embedded-is-opened-only-in-compose',
    file: 'services/cli/src/opens-embedded.ts',
    source: `export { embedded } from '@sluice/embedded/compose'`,
  },
  {
    rule: 'console-is-opened-only-by-the-command',
    file: 'services/renderer/src/opens-console.ts',
    source: `export { api } from '@sluice/console/api'`,
    besides: { 'services/console/src/api.ts': `export const api = 0` },
  },
  {
    rule: 'libs-do-not-import-services',
    file: 'libs/testkit/test/pipeline.ts',
    source: `export { deliver } from '@sluice/delivery/deliver'`,
  },
  {
    rule: 'web-imports-only-contracts',
    file: 'services/console/web/page.ts',
    source: `export { outcome } from '@sluice/domain/answers/outcome'`,
  },
  {
    rule: 'vitest-is-for-tests',
    file: 'libs/rate-limit/src/uses-vitest.ts',
    source: `export { it } from 'vitest'`,
  },
  {
    rule: 'production-does-not-import-tests',
    file: 'services/cli/src/uses-test-folder.ts',
    source: `export { limit } from '../../../test/e2e/run.ts'`,
  },
  {
    rule: 'production-does-not-import-tests',
    file: 'services/renderer/src/uses-testkit.ts',
    source: `export { clock } from '@sluice/testkit/clock'`,
  },
  {
    rule: 'production-does-not-import-tests',
    file: 'libs/message-log/src/uses-contract.ts',
    source: `export { suite } from '../test/contract.ts'`,
  },
  ...VENDORS.filter(vendor => vendor !== 'vitest' && vendor !== 'zod').map(vendor => ({
    rule: `vendor-has-one-home-${vendor.replace(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`,
    file: `services/renderer/src/uses-${vendor.replace(/[^a-z0-9]+/g, '-')}.ts`,
    source: `export * as vendor from '${vendor}'`,
  })),
]

async function write(folder: string, files: Files): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}

/**
 * A folder laid out as the repository is: packages by symlink, with the exports of the real ones, and vendors
 * of one empty file.
 */
async function overlay(files: Files): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'import-rules-'))
  await cp(join(ROOT, 'tsconfig.base.json'), join(folder, 'tsconfig.base.json'))
  const packages = [...ROOMS.map(room => `libs/${room}`), ...SERVICES.map(service => `services/${service}`)]
  await mkdir(join(folder, 'node_modules/@sluice'), { recursive: true })
  for (const path of packages) {
    const name = `@sluice/${path.slice(path.indexOf('/') + 1)}`
    const source = path === 'libs/testkit' ? 'test' : 'src'
    const manifest = { name, type: 'module', exports: { './*': `./${source}/*.ts` } }
    await write(folder, { [`${path}/package.json`]: JSON.stringify(manifest) })
    await symlink(join(folder, path), join(folder, 'node_modules', name))
  }
  for (const vendor of VENDORS) {
    await write(folder, {
      [`node_modules/${vendor}/package.json`]: JSON.stringify({ name: vendor, main: 'index.js' }),
      [`node_modules/${vendor}/index.js`]: '',
    })
  }
  await write(folder, files)
  return folder
}

/** Cruises a folder as `npm run imports` does; violations are in the report, not an error. */
async function cruise(folder: string): Promise<Report> {
  const args = ['--config', CONFIG, '--output-type', 'json', ...FOLDERS]
  const text = await new Promise<string>((resolve, reject) => {
    const settle = (error: Error | null, stdout: string, stderr: string): void => {
      if (stdout.startsWith('{')) resolve(stdout)
      else reject(new Error(`depcruise printed no report: ${stderr}`, { cause: error }))
    }
    const bin = join(ROOT, 'node_modules/.bin/depcruise')
    execFile(bin, args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 }, settle)
  })
  return report.parse(JSON.parse(text))
}

const broken = new Set<string>()
const folders: string[] = []
let violating: Report
let obedient: Report
let repository: Report

beforeAll(async () => {
  const planted: { [path: string]: string } = { ...OBEDIENT }
  for (const { file, source, besides } of VIOLATIONS) Object.assign(planted, { [file]: source }, besides)
  folders.push(await overlay(planted), await overlay(OBEDIENT))
  ;[violating, obedient, repository] = await Promise.all([
    cruise(folders[0] ?? ''),
    cruise(folders[1] ?? ''),
    cruise(ROOT),
  ])
  for (const { rule } of violating.summary.violations) broken.add(rule.name)
}, 60_000)

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true })
})

describe('the import rules', () => {
  it.each(VIOLATIONS)('refuse a planted violation of $rule', ({ rule, file, besides }) => {
    const found = violating.summary.violations.filter(violation => violation.rule.name === rule)
    const places = [file, ...Object.keys(besides ?? {})]
    expect(found.map(violation => violation.from).filter(from => places.includes(from))).not.toEqual([])
  })

  it('each have a planted violation', () => {
    const { forbidden } = ruleSet.parse(createRequire(import.meta.url)(CONFIG))
    expect([...broken].sort()).toEqual(forbidden.map(rule => rule.name).sort())
  })

  it('let pass what they allow', () => {
    expect(obedient.summary.violations).toEqual([])
    expect(obedient.summary.totalCruised).toBeGreaterThan(Object.keys(OBEDIENT).length)
  })

  it('follow imports between packages to the source file', () => {
    const between = repository.modules.flatMap(module =>
      module.dependencies.filter(dependency => dependency.module.startsWith('@sluice/')),
    )
    expect(repository.summary.totalCruised).toBeGreaterThan(0)
    expect(repository.summary.totalDependenciesCruised).toBeGreaterThan(0)
    expect(between.length).toBeGreaterThan(0)
    const lost = between.filter(
      dependency => !/^(libs|services)\/[^/]+\/(src|test)\//.test(dependency.resolved),
    )
    expect(lost).toEqual([])
  })
})

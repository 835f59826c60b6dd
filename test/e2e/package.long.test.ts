/**
 * The npm package as users get it: packed, installed into an empty folder, and used there from `init` to the
 * first delivered row, with the console's pages, the API and its client. The image is made of the same file.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { npmEnvironment } from './npm-environment.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILD = join(ROOT, 'deploy/package/build-package.ts')
/** All that a package may hold. */
const MEANT = [
  /^(package\.json|README\.md|LICENSE|NOTICE|CHANGELOG\.md)$/,
  /^dist\/([\w.-]+\.mjs|api\.d\.mts)$/,
  /^dist\/starter\/(gitignore|receiver\.mjs|[a-z]+\.yaml|data\/customers\.csv)$/,
  /^dist\/pages\/docs\/(docs\.css|reference\/[a-zA-Z]+\.html)$/,
  /^dist\/pages\/(index\.html|assets\/[\w.-]+\.(js|css|woff2|svg)|[\w-]+\.(js|svg))$/,
]
const MAX_OWN_BYTES = 15_000_000
/** With the packages that it needs. */
const MAX_INSTALLED_BYTES = 110_000_000
const MAX_FIRST_ROW_MS = 60_000
const MAX_VERSION_MS = 150
/** The promises in seconds hold for an idle machine: other work stretches them. */
const slowdown = (): number => Math.max(1, (loadavg()[0] ?? 0) / availableParallelism())
/** npm runs these scripts of a package when it is installed. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall']
const manifestOf = z.object({ version: z.string(), dependencies: z.record(z.string(), z.string()) })

let root = ''
let folder = ''
let tarball = ''
let installingMs = 0
let installed: Ended = { code: null, out: '', err: '' }
let api: Awaited<ReturnType<typeof receivingApi>>
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-package-'))
  folder = await mkdtemp(join(tmpdir(), 'sluice-installed-'))
  api = await receivingApi()
  const built = await ended(process.execPath, ['--disable-warning=ExperimentalWarning', BUILD, root])
  expect(built).toMatchObject({ code: 0 })
  const [name = ''] = (await readdir(root)).filter(file => file.endsWith('.tgz'))
  tarball = join(root, name)
  const installingAt = performance.now()
  installed = await ended('npm', ['install', tarball, '--prefer-offline'])
  installingMs = performance.now() - installingAt
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
  for (const made of [root, folder]) await rm(made, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** What a shell of a user has. */
function environment(env: { readonly [name: string]: string } = {}): NodeJS.ProcessEnv {
  return { ...npmEnvironment(), API_URL: api.url, ...env }
}

function start(command: string, args: readonly string[], env = environment()): ChildProcess {
  return spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function ended(command: string, args: readonly string[], env = environment()): Promise<Ended> {
  return await new Promise(resolve => {
    execFile(command, args, { cwd: folder, env, maxBuffer: 2 ** 26 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
    })
  })
}

const sluice = (...args: readonly string[]): Promise<Ended> =>
  ended(join(folder, 'node_modules/.bin/sluice'), args)

/** An API that takes every request, and keeps the bodies. */
async function receivingApi() {
  const bodies: string[] = []
  let firstAt: number | null = null
  const server = createServer((request, response) => {
    void text(request).then(body => {
      bodies.push(body)
      firstAt ??= performance.now()
      response.end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    ...{ url: `http://127.0.0.1:${port}`, bodies },
    /** When the first request had come whole, by `performance.now`. */
    get firstAt() {
      return firstAt
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** The first Node on the path that is too old, or none. */
function olderNode(): string | null {
  const nodes = (process.env['PATH'] ?? '').split(delimiter).map(part => join(part, 'node'))
  return nodes.find(node => node.startsWith('/usr/') && existsSync(node)) ?? null
}

describe('the package', () => {
  it('has what it is meant to have, in the form that npm and bundlers expect', async () => {
    const { messages } = await publint({ pkgDir: join(root, 'sluice'), strict: true })
    expect(messages).toEqual([])
    const { out } = await ended('npm', ['pack', '--dry-run', '--json', join(root, 'sluice')])
    const [packed] = z
      .array(z.object({ files: z.array(z.object({ path: z.string() })) }))
      .parse(JSON.parse(out))
    const paths = packed?.files.map(({ path }) => path) ?? []
    expect(paths.filter(path => !MEANT.some(meant => meant.test(path)))).toEqual([])
    expect(paths).toEqual(expect.arrayContaining(['NOTICE', 'dist/api.d.mts', 'dist/pages/index.html']))
    const names = paths.filter(path => path.endsWith('.mjs'))
    const files = names.map(path => readFile(join(root, 'sluice', path), 'utf8'))
    expect((await Promise.all(files)).filter(code => code.includes(ROOT))).toEqual([])
    expect(await readFile(join(root, 'sluice/NOTICE'), 'utf8')).toMatch(/^fastify \d.*\n\nMIT License/m)
  })

  it('is installed without a warning, and takes little room of its own', async () => {
    expect(installed).toMatchObject({ code: 0, err: '' })
    const own = join(folder, 'node_modules/sluice')
    const files = await readdir(own, { recursive: true })
    const sizes = await Promise.all(files.map(async file => (await stat(join(own, file))).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_OWN_BYTES)
    const { dependencies } = manifestOf.parse(JSON.parse(await readFile(join(own, 'package.json'), 'utf8')))
    for (const version of Object.values(dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+/)
  })

  it('comes with packages that run nothing when they are installed, and take little room', async () => {
    const packages = join(folder, 'node_modules')
    const files = await readdir(packages, { recursive: true, withFileTypes: true })
    const paths = files.filter(file => file.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    const sizes = await Promise.all(paths.map(async path => (await stat(path)).size))
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    process.stderr.write(`installed: ${(bytes / 1e6).toFixed(1)} MB\n`)
    expect(bytes).toBeLessThan(MAX_INSTALLED_BYTES)
    const manifests = paths.filter(path => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
    expect(manifests.length).toBeGreaterThan(4)
    const scripts = z.object({ scripts: z.record(z.string(), z.string()).default({}) })
    for (const path of manifests) {
      const { scripts: found } = scripts.parse(JSON.parse(await readFile(path, 'utf8')))
      const run = INSTALL_SCRIPTS.filter(name => found[name] !== undefined)
      expect([path, run]).toEqual([path, []])
    }
  })

  it('says which Node it needs', async context => {
    const node = olderNode()
    const version = node === null ? null : await ended(node, ['-p', 'process.versions.node'])
    if (node === null || Number.parseInt(version?.out ?? '', 10) >= 24) return context.skip()
    const { code, err } = await ended(node, [join(folder, 'node_modules/sluice/dist/sluice.mjs'), 'version'])
    expect(code).toBe(2)
    expect(err).toMatch(
      /^sluice needs Node 24 or later, and this is Node \d.*\nInstall it from https.*npm install node-/,
    )
  })

  it('delivers the first row of a new project within a minute of its installation', async () => {
    const { version } = manifestOf.parse(
      JSON.parse(await readFile(join(root, 'sluice/package.json'), 'utf8')),
    )
    expect((await sluice('version')).out).toContain(`sluice ${version} (Node 24.`)
    const beginningAt = performance.now()
    expect(await ended('npx', ['sluice', 'init', 'demo'])).toMatchObject({ code: 0, err: '' })
    const { out } = await sluice('--dir', 'demo', 'run', 'customers', '--json')
    expect(JSON.parse(out)).toMatchObject({ status: 'success', triggers: { added: { delivered: 4 } } })
    expect(api.bodies).toHaveLength(1)
    const tookMs = installingMs + (api.firstAt ?? Infinity) - beginningAt
    process.stderr.write(`npm install to the first row: ${Math.round(tookMs)} ms\n`)
    expect(tookMs).toBeLessThan(MAX_FIRST_ROW_MS * slowdown())
    expect((await sluice('--dir', 'demo', 'doctor')).out).toContain('Nothing stands in the way.')
  })

  it('says its version at once', async () => {
    const took: number[] = []
    for (let call = 0; call < 10; call += 1) {
      const startedAt = performance.now()
      expect((await sluice('version')).code).toBe(0)
      took.push(performance.now() - startedAt)
    }
    process.stderr.write(`sluice version: ${took.map(Math.round).join(', ')} ms\n`)
    expect(Math.min(...took)).toBeLessThan(MAX_VERSION_MS * slowdown())
  })

  it('starts a service, which says what it needs', async () => {
    const { code, err } = await sluice('service', 'delivery')
    expect(code).toBe(2)
    expect(JSON.parse(err)).toMatchObject({ name: 'delivery', code: 'config' })
    expect((await sluice('service', 'deliveries')).err).toContain('There is no service `deliveries`.')
    expect((await sluice('service', 'delivery', '--json')).out).toContain('A service takes no options')
  })

  it('serves the pages and the API, which scripts ask through its client', async () => {
    const up = start(join(folder, 'node_modules/.bin/sluice'), ['--dir', 'demo', 'up', '--json'], {
      ...environment(),
      SLUICE_PORT: '0',
    })
    try {
      const [line] = (await once(up.stdout ?? up, 'data')) as [Buffer]
      const { url } = z.object({ url: z.string() }).parse(JSON.parse(String(line)))
      const page = await fetch(url)
      expect(page.headers.get('content-type')).toContain('text/html')
      const [, script = ''] = /src="([^"]+\.js)"/.exec(await page.text()) ?? []
      expect((await fetch(new URL(script, url))).status).toBe(200)
      await writeFile(join(folder, 'ask.mts'), ASKS)
      const asked = await ended(process.execPath, ['ask.mts', url])
      expect(asked.err).toBe('')
      expect(JSON.parse(asked.out)).toEqual({
        ...{ syncs: ['customers'], states: 'success', read: 4 },
        ...{ missing: 'not-found 404', text: expect.stringContaining('no run `gone`') },
      })
      const health = await ended(process.execPath, [join(ROOT, 'deploy/healthcheck.mjs')], {
        ...environment(),
        SLUICE_PORT: new URL(url).port,
      })
      expect(health.code).toBe(0)
    } finally {
      const gone = once(up, 'exit')
      up.kill('SIGTERM')
      expect(await gone).toEqual([0, null])
    }
  })

  it('has types for those who script it', async () => {
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024']
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node']
    await writeFile(join(folder, 'wrong.mts'), WRONG)
    const files = ['ask.mts', 'wrong.mts']
    expect(await ended(process.execPath, [tsc, ...options, ...types, ...files])).toMatchObject({
      ...{ out: '', code: 0 },
    })
  })

  it('is installed by the image in the same way, for all users', async () => {
    const prefix = join(root, 'usr')
    const args = ['install', '--global', '--ignore-scripts', '--prefix', prefix, '--prefer-offline', tarball]
    expect(await ended('npm', args)).toMatchObject({ code: 0, err: '' })
    const { out } = await ended(join(prefix, 'bin/sluice'), ['--dir', 'demo', 'runs', '--json'])
    expect(JSON.parse(out)).toMatchObject({ runs: [{ status: 'success' }, { status: 'success' }] })
  })
})

const ASKS = `
import { connect, SluiceApiError, type RunView } from 'sluice/api'
const sluice = connect({ url: process.argv[2] ?? '' })
const { syncs } = await sluice.listSyncs({ limit: 10 })
const run = await sluice.run({ name: 'customers' })
let last: RunView = run
for await (const state of sluice.followRun({ id: run.id })) last = state
const missing = await sluice.getRun({ id: 'gone' }).catch((error: unknown) => error)
if (!(missing instanceof SluiceApiError)) throw missing
console.log(JSON.stringify({
  syncs: syncs.map(({ name }) => name),
  states: last.status,
  read: last.rowsRead,
  missing: \`\${missing.code} \${missing.status}\`,
  text: missing.message,
}))
`

const WRONG = `
import { connect } from 'sluice/api'
// @ts-expect-error The field is \`name\`.
export const run = await connect({ url: 'http://127.0.0.1:4747' }).run({ names: 'customers' })
`

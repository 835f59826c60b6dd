/**
 * The command as people start it, through `node_modules/.bin`. It runs on the Node of the tests (in process)
 * and on an older Node (in a child), if the machine has one.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { errorBody } from '@sluice/contracts/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const BINARY = fileURLToPath(new URL('../../../node_modules/.bin/sluice', import.meta.url))
const NODES = [
  { name: 'the Node of the tests', node: process.execPath },
  ...olderNode().map(node => ({ name: 'an older Node', node })),
]

/** The first Node on the path that cannot run TypeScript by itself, or none. */
function olderNode(): string[] {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    if (!existsSync(node)) continue
    const major = Number.parseInt(
      execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }),
      10,
    )
    if (major >= 18 && major < 24) return [node]
  }
  return []
}

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-binary-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
}

function start(node: string, argv: readonly string[], env: { readonly [name: string]: string } = {}) {
  const child = spawn(node, [BINARY, ...argv], {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '', HOME: root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const ended = new Promise<Ended>(resolve => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, out, err })
    })
  })
  return { child, ended }
}

/** With this line, a request does not time out during a test. */
const PATIENT = 'timeout: 1h\n'

/** An API that never answers. It says when a request arrived, and when the client closed the connection. */
async function silentApi() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const asked = once(server, 'request').then(([request]: { socket: NodeJS.EventEmitter }[]) => request)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    gone: asked.then(async request => {
      if (request !== undefined) await once(request.socket, 'close')
    }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe.each(NODES)('the command on $name', { timeout: 30_000 }, ({ name, node }) => {
  it('prints its version, and no warnings', async () => {
    const { code, out, err } = await start(node, ['version']).ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^sluice \d+\.\d+\.\d+ \(Node (2[4-9]|[3-9]\d)\./)
  })

  it('passes arguments, output and exit codes through', async () => {
    const wrong = await start(node, ['validate', '--json', '--dir', 'gone folder']).ended
    expect(wrong.code).toBe(2)
    expect(wrong.err).toBe('')
    expect(errorBody.parse(JSON.parse(wrong.out)).error.message).toContain('gone folder')
    expect((await start(node, ['nonsense']).ended).code).toBe(2)
    expect((await start(node, []).ended).code).toBe(0)
  })

  it('looks back on a project without a warning from Node', async () => {
    const dir = join(root, `history-${name.replaceAll(' ', '-')}`)
    await start(node, ['init', dir]).ended
    expect((await start(node, ['runs', '--dir', dir]).ended).err).toBe('')
  })

  it('ends with its connections when it is killed', async () => {
    const dir = join(root, `killed-${name.replaceAll(' ', '-')}`)
    await start(node, ['init', dir]).ended
    await appendFile(join(dir, 'customers.yaml'), PATIENT)
    await using api = await silentApi()
    const { child, ended } = start(node, ['--dir', dir, 'run', 'customers'], { API_URL: api.url })
    await api.asked
    child.kill('SIGKILL')
    await api.gone
    expect((await ended).signal).toBe('SIGKILL')
  })

  it('exits with 130 at the second interrupt, whatever is under way', async () => {
    const dir = join(root, `interrupted-${name.replaceAll(' ', '-')}`)
    await start(node, ['init', dir]).ended
    await appendFile(join(dir, 'customers.yaml'), PATIENT)
    await using api = await silentApi()
    const { child, ended } = start(node, ['--dir', dir, 'run', 'customers'], { API_URL: api.url })
    await api.asked
    child.kill('SIGINT')
    child.kill('SIGTERM')
    await api.gone
    expect((await ended).code).toBe(130)
  })

  it.skipIf(!existsSync('/dev/full'))('fails if its output cannot be written', async () => {
    // A shell opens the device, so that the other streams are pipes.
    const argv = ['-c', 'exec "$@" > /dev/full', 'sh', node, BINARY, 'schema']
    const child = spawn('sh', argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const [err, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    expect(err).toMatch(/^error: The output cannot be written: ENOSPC/)
    expect(code).toBe(1)
  })

  it('works for another folder if the present one was removed', async () => {
    const gone = await mkdtemp(join(root, 'gone-'))
    const said = async (...args: string[]): Promise<unknown> => {
      const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
      const argv = ['-c', script, 'sh', gone, node, BINARY, ...args]
      const child = spawn('sh', argv, { stdio: ['ignore', 'pipe', 'pipe'] })
      const [out, err, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      await mkdir(gone)
      return { out, err, code }
    }
    expect(await said('runs')).toEqual({
      out: '',
      err: expect.stringMatching(/^error: .*existing folder.*\n$/),
      code: 2,
    })
    expect(await said('--dir', root, 'version')).toMatchObject({ err: '', code: 0 })
  })

  it('ends quietly when nobody reads its output any more', async () => {
    const { child, ended } = start(node, ['schema'])
    child.stdout.destroy()
    const { code, err } = await ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })
})

describe('the commands', { timeout: 60_000 }, () => {
  it('name a variable that is not set, and use it once it is set', async () => {
    const dir = await mkdtemp(join(root, 'env-'))
    await writeFile(join(dir, 'env.yaml'), 'kind: destination\nname: a\nbaseUrl: ${BASE_URL}\n')
    const unset = await start(process.execPath, ['--dir', dir, 'validate', '--json']).ended
    expect(unset.code).toBe(2)
    expect(errorBody.parse(JSON.parse(unset.out)).error.details).toMatchObject([
      {
        file: 'env.yaml',
        line: 3,
        field: 'baseUrl',
        message: expect.stringContaining('`BASE_URL` is not set'),
      },
    ])
    const set = await start(process.execPath, ['--dir', dir, 'validate', '--json'], { BASE_URL: 'http://x' })
      .ended
    expect(JSON.parse(set.out)).toEqual({ ok: true, resources: 1, skipped: [] })
  })
})

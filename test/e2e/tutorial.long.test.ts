/**
 * Plays docs/TUTORIAL.md: each command prints the output of the page, each edit can be made, and at the end
 * the sync runs by itself.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))
/** The variables by which npx tells a command that it runs it, so that hints are as on the page. */
const BY_NPX = { npm_lifecycle_event: 'npx', npm_lifecycle_script: 'sluice' }
/** The sections during which the page says that the receiver is running. */
const RECEIVER_RUNS = (section: number): boolean => section >= 5 && section !== 6
/** Some thirty commands, one after the other. */
const PLAYED_WITHIN_MS = 420_000
/** A command has to start, and the schedule waits up to ten seconds. */
const SOON = { timeout: 60_000, interval: 250 }
/** From here on the page starts the receiver itself, in blocks of a shell. */
const RECEIVER_BY_PAGE = 9
/** Text that differs from one time to the next, and so changes the widths of columns. */
const MASKS: readonly (readonly [what: RegExp, mask: string])[] = [
  [/\d+(\.\d+)? (s|ms)\b/g, 'TIME'],
  [/\b01[0-9A-Z]{24}\b/g, 'RUN'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'MOMENT'],
  [/127\.0\.0\.1:\d+/g, 'API'],
  [/my-sync-[0-9a-f]{6}/g, 'NAME'],
  [/A project in \S+/g, 'A project in DIR'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'MINUTE'],
  [/idempotency-key: \S+/g, 'idempotency-key: KEY'],
  [/^ +(date|content-length|connection|keep-alive|transfer-encoding): .*\n/gm, ''],
  [/ +/g, ' '],
]

/**
 * A command with its output; an edit of data/customers.csv: lines that go and lines that come; a file to
 * write; or a start of the receiver with a status that it answers.
 */
interface Step {
  readonly section: number
  readonly command: string
  readonly output: string
  readonly edit: readonly string[]
  readonly file: { readonly name: string; readonly text: string } | null
  readonly status: string | null
}
const NOTHING = { command: '', output: '', edit: [], file: null, status: null }

function masked(text: string): string {
  return MASKS.reduce((rest, [what, mask]) => rest.replaceAll(what, mask), text).trim()
}

function stepsOf(page: string): Step[] {
  return page.split(/^## /m).flatMap(part => {
    const section = Number.parseInt(part, 10)
    const blocks = part.matchAll(/^```(console|diff|yaml|sh) ?(\S*)\n(.*?)^```$/gms)
    return [...blocks].flatMap(([, kind = '', name = '', text = '']): Step[] => {
      if (kind === 'diff') return [{ ...NOTHING, section, edit: text.trimEnd().split('\n') }]
      if (kind === 'yaml') return name === '' ? [] : [{ ...NOTHING, section, file: { name, text } }]
      if (kind === 'sh') {
        const started =
          section >= RECEIVER_BY_PAGE ? /^(?:STATUS=(\d+) )?node receiver.mjs$/m.exec(text) : null
        return started === null ? [] : [{ ...NOTHING, section, status: started[1] ?? '200' }]
      }
      const [first = '', ...output] = text.split('\n')
      return [{ ...NOTHING, section, command: first.replace('$ npx sluice ', ''), output: output.join('\n') }]
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

describe('the tutorial', () => {
  let folder: string
  let port: number
  let receiver: ChildProcess | null = null
  /** The output of the receiver. */
  let received = ''

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-tutorial-'))
    port = await freePort()
  })
  afterAll(async () => {
    await stopReceiver()
    await rm(folder, { recursive: true, force: true })
  })

  const project = (): string => join(folder, 'my-sync')

  async function startReceiver(status = '200'): Promise<void> {
    const env = { ...process.env, PORT: String(port), STATUS: status }
    receiver = spawn(process.execPath, ['receiver.mjs'], { cwd: project(), env })
    receiver.stdout?.setEncoding('utf8').on('data', (text: string) => (received += text))
    if (receiver.stdout !== null) await once(receiver.stdout, 'data')
  }

  async function stopReceiver(): Promise<void> {
    const running = receiver
    receiver = null
    if (running?.kill() === true) await once(running, 'exit')
  }

  async function sluice(command: string): Promise<string> {
    const cwd = command.startsWith('init ') ? folder : project()
    const env = { ...process.env, ...BY_NPX, NO_COLOR: '1', API_URL: `http://127.0.0.1:${port}` }
    const ran = promisify(execFile)(SLUICE, command.split(' '), { cwd, env })
    // Exit code 3 says that rows were not delivered, which the page shows on purpose.
    return (
      await ran.catch((error: { code: number; stdout: string }) => {
        if (error.code !== 3) throw error
        return error
      })
    ).stdout
  }

  /** The last section: the sync gets the schedule of the page, and `up` runs it. */
  async function letItRun(page: string): Promise<void> {
    const schedule = /^schedule: .*$/m.exec(page)?.[0] ?? ''
    expect(schedule).toContain('every: 10s')
    const file = join(project(), 'customers.yaml')
    const yaml = await readFile(file, 'utf8')
    await writeFile(file, yaml.replace(/^kind: sync$/m, `kind: sync\n${schedule}`))
    const consolePort = String(await freePort())
    const env = {
      ...process.env,
      NO_COLOR: '1',
      API_URL: `http://127.0.0.1:${port}`,
      SLUICE_PORT: consolePort,
    }
    const up = spawn(SLUICE, ['up'], { cwd: project(), env, stdio: 'ignore' })
    const ended = once(up, 'exit')
    try {
      const page = (): Promise<boolean> =>
        fetch(`http://127.0.0.1:${consolePort}/`).then(
          ({ ok }) => ok,
          () => false,
        )
      await expect.poll(page, SOON).toBe(true)
      const csv = join(project(), 'data/customers.csv')
      await writeFile(csv, `${await readFile(csv, 'utf8')}77,Edsger Dijkstra,edsger@example.com,Rotterdam\n`)
      await expect.poll(() => received, SOON).toContain('Edsger Dijkstra')
      expect(await sluice('syncs')).toMatch(/customers .*10s/)
      // The history of the server follows the topics.
      const runs = (): Promise<string> => sluice('runs customers --cause schedule')
      await expect.poll(runs, SOON).toMatch(/ (running|success) /)
    } finally {
      up.kill()
    }
    expect(await ended).toEqual([0, null])
  }

  async function edit(lines: readonly string[]): Promise<void> {
    const file = join(project(), 'data/customers.csv')
    let csv = await readFile(file, 'utf8')
    const pairs = lines.map(line => ({ goes: line.startsWith('-'), text: `${line.slice(1)}\n` }))
    for (const [i, { goes, text }] of pairs.entries()) {
      const next = pairs[i + 1]
      if (!goes) continue
      expect(csv).toContain(text)
      csv = csv.replace(text, next?.goes === false ? next.text : '')
    }
    await writeFile(file, csv)
  }

  it(
    'shows the output of its commands, run in its order and with its edits',
    async () => {
      const page = await readFile(join(ROOT, 'docs/TUTORIAL.md'), 'utf8')
      const steps = stepsOf(page)
      expect(steps.length).toBeGreaterThan(10)
      for (const step of steps) {
        if (RECEIVER_RUNS(step.section) && receiver === null) await startReceiver()
        if (!RECEIVER_RUNS(step.section)) await stopReceiver()
        if (step.status !== null) {
          await stopReceiver()
          await startReceiver(step.status)
        } else if (step.file !== null) await writeFile(join(project(), step.file.name), step.file.text)
        else if (step.edit.length > 0) await edit(step.edit)
        else expect(masked(await sluice(step.command)), step.command).toBe(masked(step.output))
      }
      await letItRun(page)
    },
    PLAYED_WITHIN_MS,
  )
})

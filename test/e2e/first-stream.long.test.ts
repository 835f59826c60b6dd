/**
 * Plays "A first stream" of docs/STREAMS.md on a real PostgreSQL: the API prints what the page says, and no
 * more, and each command prints the output of the page.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'
import { ownDatabase } from './own-database.ts'

const postgresUrl = inject('postgresUrl')
const PAGE = new URL('../../docs/STREAMS.md', import.meta.url)
const SLUICE = fileURLToPath(new URL('../../services/cli/bin/sluice.mjs', import.meta.url))
/** The variables by which npx tells a command that it runs it, so that hints are as on the page. */
const BY_NPX = { npm_lifecycle_event: 'npx', npm_lifecycle_script: 'sluice' }
const SOON = { timeout: 60_000, interval: 100 }
/** Text that differs from one time to the next, and so changes the widths of columns. */
const MASKS: readonly (readonly [what: RegExp, mask: string])[] = [
  [/\d+(\.\d+)? (s|ms|min)\b/g, 'TIME'],
  [/\b01[0-9A-Z]{24}\b/g, 'RUN'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'MOMENT'],
  [/localhost:\d+/g, 'API'],
  [/\d+ rows\/(s|min|h)\b/g, 'SPEED'],
  [/ +/g, ' '],
]

/** A block of the page, with the text that leads to it. */
interface Block {
  readonly before: string
  readonly kind: string
  readonly text: string
}

function blocksOf(page: string): readonly Block[] {
  const [, section = ''] = /^## A first stream\n(.*?)^## /ms.exec(page) ?? []
  const found = section.matchAll(/(.*?)^```(\w+)[^\n]*\n(.*?)^```$/gms)
  return [...found].map(([, before = '', kind = '', text = '']) => ({ before, kind, text }))
}

function masked(text: string): string {
  return MASKS.reduce((rest, [what, mask]) => rest.replaceAll(what, mask), text).trim()
}

/** The SQL that a block of a shell has the database run. */
function sqlIn(text: string): readonly string[] {
  const documents = text.matchAll(/<<'SQL'\n(.*?)^SQL$/gms)
  const commands = text.matchAll(/ -c "([^"]*)"$/gm)
  return [...documents, ...commands].map(([, sql = '']) => sql)
}

it.skipIf(postgresUrl === null)(
  'the page on streams leads to a first one',
  { timeout: 300_000 },
  async () => {
    await using database = await ownDatabase(postgresUrl ?? '')
    const above = await mkdtemp(join(tmpdir(), 'sluice-first-stream-'))
    const dir = join(above, 'first-stream')
    await mkdir(dir)
    const file = join(dir, 'shop.yaml')
    const env = {
      ...process.env,
      ...BY_NPX,
      NO_COLOR: '1',
      SLUICE_PORT: '0',
      SLUICE_SECRET_SHOP_PASSWORD: 'shop',
      SLUICE_SECRET_SHOP_PASSWORD_FOR: '127.0.0.1',
    }
    const started = new Set<ChildProcess>()
    const start = (program: string, args: readonly string[]): ChildProcess => {
      const child = spawn(program, args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'inherit'] })
      started.add(child)
      return child
    }
    const stop = async (child: ChildProcess): Promise<void> => {
      started.delete(child)
      if (child.kill('SIGINT')) await once(child, 'exit')
    }
    let received = ''
    let port = 0
    /** Starts the API of the page on a free port, which it then prints. */
    const startApi = async (script: string): Promise<void> => {
      const onFreePort = script.replace(
        '.listen(8080)',
        '.listen(0, function () { console.log(this.address().port) })',
      )
      const api = start(process.execPath, ['-e', onFreePort])
      const told = api.stdout?.setEncoding('utf8')
      if (told === undefined) throw new Error('the API has no output')
      const [first]: unknown[] = await once(told, 'data')
      port = Number(first)
      told.on('data', (text: string) => (received += text))
    }
    const sluice = async (command: string): Promise<string> =>
      (await promisify(execFile)(SLUICE, command.split(' '), { cwd: dir, env })).stdout
    let server: ChildProcess | null = null
    let expected = ''
    const sorted = (lines: string): readonly string[] => lines.trim().split('\n').sort()

    try {
      const page = await readFile(PAGE, 'utf8')
      const blocks = blocksOf(page)
      expect(blocks.length).toBeGreaterThan(12)
      const script = blocks
        .map(({ text }) => /node -e '(.*)'$/ms.exec(text)?.[1])
        .find(text => text !== undefined)
      await startApi(script ?? '')
      for (const { before, kind, text } of blocks) {
        if (before.includes('Ctrl-C') && server !== null) {
          await stop(server)
          server = null
        }
        const [command = '', ...output] = text.split('\n')
        if (kind === 'yaml')
          await writeFile(
            file,
            text
              .replace('postgres://postgres@localhost:5432/postgres', database.url)
              .replace('localhost:8080', `localhost:${port}`),
          )
        else if (kind === 'diff') {
          const [beside = '', added = ''] = text.split('\n').map(line => line.slice(1))
          const yaml = await readFile(file, 'utf8')
          expect(yaml).toContain(`\n${beside}\n`)
          await writeFile(file, yaml.replace(`\n${beside}\n`, `\n${beside}\n${added}\n`))
        } else if (kind === 'console') {
          const run = (): Promise<string> => sluice(command.replace('$ npx sluice ', '')).then(masked)
          await expect.poll(run, { ...SOON, message: command }).toBe(masked(output.join('\n')))
        } else if (kind === 'text') {
          expected += text
          await expect.poll(() => sorted(received), SOON).toEqual(sorted(expected))
        } else {
          for (const sql of sqlIn(text)) await database.client.query(sql)
          if (/^npx sluice up$/m.test(text)) server = start(SLUICE, ['up'])
        }
      }
      const { rows } = await database.client.query(
        'select 1 from pg_replication_slots where database = current_database()',
      )
      expect(rows).toEqual([])
      expect(sorted(received)).toEqual(sorted(expected))
    } finally {
      for (const child of started) await stop(child)
      await rm(above, { recursive: true, force: true })
    }
  },
)

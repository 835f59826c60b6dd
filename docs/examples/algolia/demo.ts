/**
 * `npm run demo`: the example of this folder against a small API that plays Algolia's synonyms endpoint, in a temporary copy. It needs nothing but
 * Node and the packages of this repository.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SYNC = 'algolia-synonyms'
const HERE = fileURLToPath(new URL('.', import.meta.url))
const SLUICE = fileURLToPath(new URL('../../../services/cli/bin/sluice.mjs', import.meta.url))

const colored = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === ''
const paint =
  (code: number) =>
  (text: string): string =>
    colored ? `\u001b[${code}m${text}\u001b[0m` : text
const bold = paint(1)
const dim = paint(2)
const green = paint(32)
const red = paint(31)
const blue = paint(36)

// Nobody reads any more, as behind `head`: then there is nobody to show anything to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  rmSync(dir, { recursive: true, force: true })
  process.exit(0)
})

const say = (text = ''): void => void process.stdout.write(`${text}\n`)

/** A request as the API saw it, and how it answered. */
interface Seen {
  readonly method: string
  readonly path: string
  readonly body: string
  readonly status: number
}

/** Plays the API: takes everything with 200, but for as many requests as `failures` says. */
class PretendAlgolia {
  readonly seen: Seen[] = []
  failures = 0
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the API has no port')
    return `http://127.0.0.1:${address.port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
    const failing = this.failures > 0
    if (failing) this.failures -= 1
    const status = failing ? 500 : 200
    const body = Buffer.concat(chunks).toString()
    this.seen.push({ method: request.method ?? '', path: request.url ?? '', body, status })
    const answer = failing ? { message: 'internal error' } : { taskID: this.seen.length }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }
}

/** Runs `sluice` in the project folder as a user would, and shows what it prints. */
async function sluice(dir: string, url: string, args: readonly string[]): Promise<void> {
  say(`  ${dim('$')} ${bold(`sluice ${args.join(' ')}`)}`)
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', SLUICE, ...args],
    {
      cwd: dir,
      env: {
        ...process.env,
        ALGOLIA_URL: url,
        SLUICE_SECRET_ALGOLIA_KEY: 'demo-key',
        SLUICE_SECRET_ALGOLIA_KEY_FOR: '127.0.0.1',
        ...(colored ? { FORCE_COLOR: '1' } : {}),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let printed = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  for (const line of printed.trimEnd().split('\n')) say(`  ${line}`)
  // 3 is a warning: some row was not delivered. The demo makes that happen; anything else is a fault.
  if (exitCode !== 0 && exitCode !== 3) throw new Error(`sluice ended with exit code ${exitCode}: ${errors}`)
  if (exitCode === 3) say(dim('  (exit code 3: something was not delivered)'))
}

/** Shows the requests that have come since the last time; those of one run may come in any order. */
function showReceived(api: PretendAlgolia): void {
  const received = api.seen.splice(0).sort((a, b) => (a.method < b.method ? -1 : 1))
  say()
  if (received.length === 0) say(`  ${blue('API')} ${dim('received nothing')}`)
  for (const { method, path, body, status } of received) {
    const answered = status === 200 ? green(String(status)) : red(String(status))
    say(`  ${blue('API')} ${bold(method)} ${path} ${dim('→')} ${answered}`)
    for (const line of body === '' ? [] : prettyRows(body)) say(`      ${line}`)
  }
  say()
}

function prettyRows(body: string): string[] {
  const rows: unknown = JSON.parse(body)
  if (!Array.isArray(rows)) return [body]
  return ['[', ...rows.map((row, i) => `  ${JSON.stringify(row)}${i < rows.length - 1 ? ',' : ''}`), ']']
}

function heading(number: number, text: string): void {
  say(bold(`${number}  ${text}`))
  say()
}

/** Replaces a text in the file of rows and shows the change as a diff does. */
async function edit(file: string, from: string, to: string): Promise<void> {
  const before = await readFile(file, 'utf8')
  const after = from === '' ? before + to : before.replace(from, to)
  if (after === before) throw new Error(`${file} does not hold ${from}`)
  await writeFile(file, after)
  const lines = (text: string): string[] => text.trimEnd().split('\n')
  for (const line of lines(before)) if (!lines(after).includes(line)) say(`  ${red(`- ${line}`)}`)
  for (const line of lines(after)) if (!lines(before).includes(line)) say(`  ${green(`+ ${line}`)}`)
  say()
}

async function demo(dir: string, api: PretendAlgolia, url: string): Promise<void> {
  const rows = join(dir, 'data/synonyms.csv')
  const run = ['run', SYNC] as const
  say()
  say(bold('Sluice turns row changes into HTTP requests.'))
  say(dim(`A small API at ${url} plays Algolia; the project is a copy of docs/examples/algolia.`))
  say()

  heading(1, 'Four rows in a CSV file. The first run sends them all, in one request.')
  for (const line of (await readFile(rows, 'utf8')).trimEnd().split('\n')) say(`  ${dim(line)}`)
  say()
  await sluice(dir, url, run)
  showReceived(api)

  heading(2, 'Nothing changed. The next run sends nothing.')
  await sluice(dir, url, run)
  showReceived(api)

  heading(3, 'One row is edited, one is removed. Each change has a request of its own.')
  await edit(rows, '"sofa, couch, settee"', '"sofa, couch, settee, divan"')
  await edit(rows, 'trousers,"trousers, pants, slacks"\n', '')
  await sluice(dir, url, run)
  showReceived(api)

  heading(4, 'A row is added, and the API fails. The row waits for the next run.')
  await edit(rows, '', 'cap,"cap, hat"\n')
  api.failures = 1
  await sluice(dir, url, run)
  showReceived(api)
  await sluice(dir, url, ['failed', SYNC])
  say()

  heading(5, 'The row is edited meanwhile. The next run sends it as it is now.')
  await edit(rows, '"cap, hat"', '"cap, hat, beret"')
  await sluice(dir, url, run)
  showReceived(api)

  say(bold('What to try next'))
  say()
  const next: readonly (readonly [string, string])[] = [
    ['npx sluice init my-sync', 'a project of your own that runs'],
    ['npx sluice --help', 'all commands'],
    ['docs/examples/algolia', 'the files behind this demo: 30 lines of YAML'],
    ['docs/reference', 'everything that such files can say'],
  ]
  for (const [what, why] of next) say(`  ${blue(what.padEnd(26))} ${why}`)
  say()
}

const api = new PretendAlgolia()
const dir = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
try {
  const url = await api.listen()
  for (const file of ['data', 'shop.yaml', 'algolia.yaml', 'algolia-synonyms.yaml'])
    await cp(join(HERE, file), join(dir, file), { recursive: true })
  await demo(dir, api, url)
} finally {
  api.close()
  await rm(dir, { recursive: true, force: true })
}

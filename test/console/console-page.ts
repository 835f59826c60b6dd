/** A real Chromium that looks at the console of a `sluice up`, as a person would. */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { mkdir, readFile } from 'node:fs/promises'
import { chromium, type Browser, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { ensurePrograms } from '../../deploy/local/install.ts'
import { freePorts } from '../../deploy/local/ports.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const CHROMIUM = { command: 'chromium', debianPackage: 'chromium' }
/** The time limit of a page on a busy machine. */
const PATIENCE_MS = 20_000

const EXPECTED = [
  // Answers that refuse are part of some tests, and the browser writes each of them down.
  'Failed to load resource',
  // In an editor, the browser itself gives text that is pasted over a word the style of that word.
  'Applying inline style',
]

/** Disposing it closes the browser. */
export interface Looking extends AsyncDisposable {
  open(options?: OpenOptions): Promise<Page>
  /** The errors that pages wrote to the browser's console, and that their scripts threw. */
  readonly complaints: readonly string[]
}

export interface OpenOptions {
  readonly width?: number
  readonly height?: number
  readonly colours?: 'light' | 'dark'
  /** The visitor's time zone; default: that of this machine. */
  readonly timeZone?: string
}

export async function startBrowser(): Promise<Looking> {
  const [executablePath = ''] = await ensurePrograms([CHROMIUM])
  const browser: Browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const complaints: string[] = []
  return {
    complaints,
    async open({ width = 1280, height = 860, colours = 'light', timeZone } = {}) {
      const context = await browser.newContext({
        ...{ viewport: { width, height }, colorScheme: colours },
        ...(timeZone === undefined ? {} : { timezoneId: timeZone }),
      })
      context.setDefaultTimeout(PATIENCE_MS)
      const page = await context.newPage()
      page.on('pageerror', error => complaints.push(error.message))
      page.on('console', message => {
        if (message.type() === 'error' && !EXPECTED.some(start => message.text().startsWith(start)))
          complaints.push(`${message.text()} (${message.location().url})`)
      })
      return page
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

export interface ServedConsole extends AsyncDisposable {
  readonly url: string
  readonly project: ProjectFolder
  /** Ends the server as Ctrl-C would. */
  stop(): Promise<void>
  /** Starts it again, on the same address. */
  start(): Promise<void>
  /** Lets the process stand still, or go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
}

interface ServedOptions {
  readonly files: { readonly [file: string]: string }
  readonly env?: { readonly [name: string]: string }
}

/** A folder with these files, served by `sluice up`, with the pages that were built last. */
export async function servedConsole({ files, env = {} }: ServedOptions): Promise<ServedConsole> {
  const [port = 0] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  const project = await projectFolder({ files, env: { SLUICE_PORT: new URL(url).port, ...env } })
  let ended: Promise<unknown> = Promise.resolve()
  let stop = (): void => undefined
  let signal: ServedConsole['signal'] = () => undefined
  const start = async (): Promise<void> => {
    const child = project.start('up', '--json')
    ended = once(child, 'close')
    stop = () => void child.kill('SIGTERM')
    signal = name => void child.kill(name)
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => (said += String(chunk)))
    child.stdout?.on('data', (chunk: Buffer) => (said += String(chunk)))
    const served = child.stdout === null ? Promise.resolve() : once(child.stdout, 'data')
    const failed = ended.then(() => Promise.reject(new Error(`sluice up ended: ${said}`)))
    failed.catch(() => undefined)
    await Promise.race([served, failed])
    // A mistake in the project is printed in place of the address.
    if (said.startsWith('{"error"')) throw new Error(said)
  }
  const stopped = async (): Promise<void> => {
    stop()
    await ended
  }
  await start()
  return {
    ...{ project, url, start, stop: stopped },
    signal: name => signal(name),
    async [Symbol.asyncDispose]() {
      await stopped()
      await project[Symbol.asyncDispose]()
    },
  }
}

/** A folder for pictures of what tests look at, for people who want to look at them. */
const PICTURES = process.env['SLUICE_TEST_PICTURES']

/** Takes a picture of the whole page, where somebody has said that they want some. */
async function takePicture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return
  await mkdir(PICTURES, { recursive: true })
  const { width = 0, height = 0 } = page.viewportSize() ?? {}
  // The part below the window is drawn once the window is that high.
  const whole = Number(await page.evaluate('document.documentElement.scrollHeight'))
  await page.setViewportSize({ width, height: Math.max(whole, height) })
  await page.screenshot({ path: `${PICTURES}/${name.replaceAll(/\W+/g, '-')}.png` })
  await page.setViewportSize({ width, height })
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** The lists of landmarks that screen readers offer are of use if each has a name of its own. */
const ALSO = 'landmark-unique'
/** Those of them that ask for colours. */
const RULES_OF_COLOURS = ['color-contrast', 'link-in-text-block']

/** Expects that axe finds nothing serious on the page, and no two landmarks of one name. */
export async function expectAccessible(page: Page, what: string, rules = RULES): Promise<void> {
  // The page's policy allows no script of others, so the browser's own way in is used.
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(await readFile(AXE, 'utf8'))
  const found: unknown = await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(rules)}, rules: { '${ALSO}': { enabled: true } } }).then(({ violations }) =>
      violations
        .filter(({ id, impact }) => id === '${ALSO}' || impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => id + ': ' + nodes.map(node => node.target.join(' ')).slice(0, 4).join(', ')))`,
  )
  expect(found, what).toEqual([])
}

/**
 * The same in light and in dark colours. The page stays the same one, so that only what asks for colours is
 * looked at twice.
 */
export async function expectAccessibleInAllColours(page: Page, what: string): Promise<void> {
  for (const colours of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: colours })
    await expectAccessible(page, `${what}, ${colours}`, colours === 'dark' ? RULES_OF_COLOURS : RULES)
    await takePicture(page, `${what}-${colours}`)
  }
}

/**
 * The documentation site as a reader sees it: VitePress builds it, which fails on a dead link, and Chromium
 * opens its pages from the folder.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { ROOT, addressOf } from '../../deploy/site/navigation.ts'
import { expectAccessibleInAllColours, startBrowser, type Looking } from '../console/console-page.ts'

const SITE = 'http://docs.example'
const BASE = '/sluice/'
const REPOSITORY = 'https://git.example/acme/sluice'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let folder: string
let browser: Looking
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-site-'))
  browser = await startBrowser()
  const build = ['run', 'docs:build', '--', '--base', BASE, '--outDir', folder]
  await promisify(execFile)('npm', build, {
    cwd: ROOT,
    env: { ...process.env, SLUICE_REPOSITORY: REPOSITORY },
  })
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Opens a page, such as `docs/RUNS.md`, of the site. */
async function openPage(path: string, width = 1440): Promise<Page> {
  const page = await browser.open({ width, height: 900 })
  await page.route(`${SITE}/**`, route => {
    const file = new URL(route.request().url()).pathname.slice(BASE.length).replace(/(^|\/)$/, '$1index.html')
    return route.fulfill({ path: join(folder, file) })
  })
  await page.goto(SITE + BASE + addressOf(path).slice(1))
  return page
}

const diagramsOf = (path: string): number =>
  readFileSync(join(ROOT, path), 'utf8').split('\n```mermaid\n').length - 1

it.each(['README.md', 'docs/ARCHITECTURE.md', 'docs/RUNS.md', 'docs/PROTOCOL.md'])(
  'draws each diagram of %s, and draws it again in dark colours',
  async path => {
    const page = await openPage(path)
    const drawings = page.locator('.diagram svg')
    await expect.poll(() => drawings.count(), { timeout: 30_000 }).toBe(diagramsOf(path))
    const light = await drawings.last().innerHTML()
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(() => drawings.last().innerHTML(), { timeout: 30_000 }).not.toBe(light)
    expect(browser.complaints).toEqual([])
  },
)

it('finds a section by its words', async () => {
  const page = await openPage('README.md')
  await page.keyboard.press('Control+k')
  await page.getByRole('searchbox').fill('removal guard')
  const found = page.getByRole('option').first().getByRole('link')
  await expect.poll(() => found.getAttribute('href')).toBe(`${BASE}reference/sync.html#removal-guard`)
})

it('leads from a page to a file that the repository alone has', async () => {
  const page = await readFile(join(folder, 'examples/index.html'), 'utf8')
  expect(page).toContain(`href="${REPOSITORY}/tree/HEAD/test/vendors"`)
})

it.each(['README.md', 'docs/reference/api.md', 'docs/decisions/README.md'])(
  'shows %s whole and accessible, on a wide and a narrow screen',
  async path => {
    for (const width of [1440, 375]) {
      const page = await openPage(path, width)
      if (diagramsOf(path) > 0) await page.locator('.diagram svg').first().waitFor()
      const excess = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
      expect(excess, `${width} pixels`).toBeLessThanOrEqual(0)
      await expectAccessibleInAllColours(page, `${path}, ${width} pixels`)
    }
  },
)

/**
 * Every screen, empty and full, narrow and wide, light and dark: axe finds nothing serious, nothing is cut
 * off.
 */
import { gzipSync } from 'node:zlib'
import { mkdir } from 'node:fs/promises'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import {
  expectAccessible,
  servedConsole,
  startBrowser,
  type Looking,
  type ServedConsole,
} from './console-page.ts'

/** A folder for pictures of each screen, for people who want to look at them. */
const PICTURES = process.env['SLUICE_TEST_PICTURES']
const FIRST_SCREEN_BYTES = 350 * 1024
const EMPTY = { 'sluice.yaml': 'kind: project\nname: shop\n' }
/** What a row, a name or an answer may try to do to a page. */
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

const LOOKS = [
  { width: 1280, colours: 'light' },
  { width: 1280, colours: 'dark' },
  { width: 375, colours: 'light' },
  { width: 375, colours: 'dark' },
] as const

let api: ScriptedApi
let browser: Looking
let empty: ServedConsole
let full: ServedConsole
let run = ''
beforeAll(async () => {
  api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: JSON.stringify({ error: HOSTILE }) })
  browser = await startBrowser()
  empty = await servedConsole({ files: EMPTY })
  const hostileCell = `"${HOSTILE.replaceAll('"', '""')}"`
  full = await servedConsole({
    files: { 'project.yaml': peopleYaml(), 'people.csv': `id,name\n1,Ann\n2,${hostileCell}\n` },
    env: { API_URL: api.url },
  })
  await full.project.sluice('run', 'people')
  run = (await full.project.runs())[0]?.id ?? ''
  if (PICTURES !== undefined) await mkdir(PICTURES, { recursive: true })
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await Promise.all([empty, full].map(served => served[Symbol.asyncDispose]()))
  await api[Symbol.asyncDispose]()
})

const screens = (): readonly (readonly [string, string])[] => [
  ...['/', '/runs', '/requests', '/resources', '/secrets', '/alerts', '/audit', '/system'].map(
    path => [path, path] as const,
  ),
  ['/new', '/new'],
  ['a run', `/runs/${run}`],
  ['a sync', '/syncs/people'],
  ['an editor', '/syncs/people/edit?step=requests'],
  ['a resource', '/resources/sync/people'],
  ['a row', '/syncs/people/row?key=2'],
  ['nothing', '/no/such/page'],
]

/** Waits until the page shows what it has to show. */
async function shown(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await expect.poll(() => page.locator('.loading').count(), { timeout: 20_000 }).toBe(0)
}

describe.each(LOOKS)('on $width px in $colours colours', ({ width, colours }) => {
  it.each(['empty', 'full'] as const)(
    'each screen of a server that is %s can be used by everybody',
    async which => {
      const page = await browser.open({ width, colours })
      const served = which === 'empty' ? empty : full
      for (const [name, path] of screens()) {
        const seen = `${name}, ${which}, ${width} px, ${colours}`
        await shown(page, `${served.url}${path}`)
        await expectAccessible(page, seen)
        const cutOff = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        expect(cutOff, `${seen}: pixels beyond the edge`).toBeLessThanOrEqual(0)
        expect(await page.title(), seen).not.toContain('owned')
        if (PICTURES !== undefined)
          await page.screenshot({
            path: `${PICTURES}/${which}-${width}-${colours}${name.replaceAll(/\W+/g, '-')}.png`,
            fullPage: true,
          })
      }
      await page.context().close()
    },
  )
})

describe('the pages', () => {
  it('show text that is meant to be run as the text that it is', async () => {
    const page = await browser.open()
    await shown(page, `${full.url}/requests?status=422`)
    await page.getByRole('button', { name: /422/ }).first().click()
    await page.getByText('<img src=x').first().waitFor()
    expect(await page.locator('img[src=x]').count()).toBe(0)
    expect(await page.title()).toBe('Requests · Sluice')
    await page.context().close()
  })

  it('ask nobody else for anything, and need little for the first screen', async () => {
    const page = await browser.open()
    const asked: string[] = []
    let bytes = 0
    page.on('request', request => asked.push(request.url()))
    page.on('response', response => {
      if (/\/assets\/|\/$/.test(new URL(response.url()).pathname))
        void response.body().then(body => (bytes += gzipSync(body).length))
    })
    await shown(page, full.url)
    await page.waitForLoadState('load')
    expect(asked.filter(url => !url.startsWith(full.url))).toEqual([])
    expect(bytes).toBeGreaterThan(0)
    expect(bytes).toBeLessThan(FIRST_SCREEN_BYTES)
    await page.context().close()
  })

  it('have met no script error and no refusal of their own policy', () => {
    expect(browser.complaints).toEqual([])
  })
})

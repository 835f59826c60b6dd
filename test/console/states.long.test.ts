/** Each main screen before its answers come, and when they do not come. */
import type { Page, Route } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

/** Above this, a page is said to jump (Web Vitals: cumulative layout shift). */
const MAX_SHIFT = 0.1

let run = ''
const suite = consoleSuite({
  files: { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n2,Bob\n' },
  prepare: async ({ api, served: { project } }) => {
    api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
    await project.sluice('run', 'people')
    run = (await project.runs())[0]?.id ?? ''
  },
})

/** Each screen, and a text that it shows once it has its answers. */
const SCREENS = [
  ['the overview', () => '/', 'people → api'],
  ['the runs', () => '/runs', 'warning'],
  ['a run', () => `/runs/${run}`, 'Failed rows'],
  ['the requests', () => '/requests', '/people/2'],
  ['a sync', () => '/syncs/people', 'What happened to a row?'],
  ['a row', () => '/syncs/people/row?key=2', 'Waits for a retry'],
  ['the resources', () => '/resources', 'people'],
  ['a resource', () => '/resources/sync/people', 'Version 1'],
  ['the secrets', () => '/secrets', 'The vault is empty.'],
  ['the alerts', () => '/alerts', 'No alert watches your syncs yet.'],
  ['the tokens', () => '/tokens', 'This server asks nobody for a token.'],
  ['the audit', () => '/audit', 'made the sync'],
  ['the system', () => '/system', 'Partitions'],
  ['an editor', () => '/syncs/people/edit?step=requests', '"Ann"'],
] as const

/** In both themes, on a wide and on a narrow screen. The page stays the same one. */
async function look(page: Page, seen: string): Promise<void> {
  for (const width of [375, 1280]) {
    await page.setViewportSize({ width, height: 860 })
    await expectAccessibleInAllColours(page, `${seen}, ${width} px`)
  }
}

/** All but who somebody is. */
const ANSWERS = /\/api\/v1\/(?!session)/

async function shiftOf(page: Page): Promise<number> {
  return Number(await page.evaluate('globalThis.shifted ?? 0'))
}

describe.each(SCREENS)('%s', (name, path, text) => {
  it('keeps the place of what is still to come', async () => {
    const page = await suite.browser.open()
    await page.addInitScript(`new PerformanceObserver(list => {
      for (const { value, hadRecentInput } of list.getEntries())
        if (!hadRecentInput) globalThis.shifted = (globalThis.shifted ?? 0) + value
    }).observe({ type: 'layout-shift', buffered: true })`)
    const released = Promise.withResolvers<null>()
    await page.route(ANSWERS, async (route: Route) => {
      await released.promise
      await route.continue().catch(() => undefined)
    })
    await page.goto(`${suite.served.url}${path()}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.getByRole('status', { name: 'Loading' }).first().waitFor()
    await look(page, `${name}, loading`)
    released.resolve(null)
    await page.getByText(text).filter({ visible: true }).first().waitFor()
    await expect.poll(() => page.locator('.loading').count(), { timeout: 20_000 }).toBe(0)
    expect(await shiftOf(page), `${name} jumps`).toBeLessThanOrEqual(MAX_SHIFT)
    await page.context().close()
  })

  it('says what went wrong, and goes on when it is asked to', async () => {
    const page = await suite.browser.open()
    let fails = true
    await page.route(ANSWERS, async route =>
      fails ? await route.fulfill({ status: 400, body: 'no' }) : await route.continue(),
    )
    await page.goto(`${suite.served.url}${path()}`)
    await page.getByText('The server answered 400.').first().waitFor()
    await look(page, `${name}, failing`)
    await page.getByRole('button', { name: 'Try again' }).first().focus()
    fails = false
    // A page that asks again by itself may have taken the button away, which a click would wait for.
    await page.keyboard.press('Enter')
    await page.getByText(text).filter({ visible: true }).first().waitFor()
    await page.context().close()
  })
})

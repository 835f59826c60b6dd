/** The pages while the server or the network is gone, and once they are back. */
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite, editorOf } from './console-suite.ts'

/** A page says within 5 s that it is cut off. A busy machine adds some. */
const SAID_MS = 9_000

const suite = consoleSuite({
  files: { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n' },
  prepare: async ({ served: { project } }) => await project.sluice('run', 'people'),
})

const PAGES = [
  ['/', 'people → api'],
  ['/runs', 'success'],
  ['/requests', '/people/1'],
  ['/resources', 'people'],
  ['/system', 'Partitions'],
  ['/syncs/people/edit?step=requests', 'What added rows send'],
] as const

const banner = (page: Page) => page.locator('.banner.connection')

async function opened(path: string, text: string): Promise<Page> {
  const page = await suite.browser.open()
  await page.goto(`${suite.served.url}${path}`)
  await page.getByText(text).filter({ visible: true }).first().waitFor()
  return page
}

describe('without a network', () => {
  it('each page says so within 5 s, with the age of what it shows, until it is back', async () => {
    const pages = await Promise.all(PAGES.map(([path, text]) => opened(path, text)))
    await Promise.all(
      pages.map(async page => {
        await page.context().setOffline(true)
        await banner(page).getByText('This device is offline.').waitFor({ timeout: SAID_MS })
        await banner(page)
          .getByText(/Shown as of (just now|\d+ seconds ago)/)
          .waitFor()
        expect(await banner(page).locator('time').getAttribute('title')).toMatch(/ UTC$/)
        await page.context().setOffline(false)
        await banner(page).waitFor({ state: 'detached' })
        await page.context().close()
      }),
    )
  })
})

describe('a server that takes requests and answers none', () => {
  it('is said within 5 s, and a page that cannot be loaded says why and tries again', async () => {
    const page = await opened('/', 'people → api')
    let hangs = true
    await page.route(/\/api\/v1\//, async route => (hangs ? undefined : await route.continue()))
    await banner(page).getByText('The server does not answer.').waitFor({ timeout: SAID_MS })
    await page.getByRole('link', { name: 'Secrets' }).click()
    const late = page.locator('.late')
    await late.getByText('The server does not answer.').waitFor()
    await expectAccessible(page, 'a page without its data')
    hangs = false
    await late.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('The vault is empty.').waitFor()
    await banner(page).waitFor({ state: 'detached' })
    await page.context().close()
  })
})

describe('a server that is gone', () => {
  it('takes no typed text away, and pages that were never opened come by themselves once it is back', async () => {
    const editing = await opened('/syncs/people/edit?step=requests', 'What added rows send')
    await editing.getByRole('button', { name: 'Take it over' }).click()
    await editorOf(editing, 'JSON template').click()
    await editing.keyboard.press('ControlOrMeta+End')
    const other = await opened('/', 'people → api')
    await suite.served.stop()
    await Promise.all([editing, other].map(page => banner(page).waitFor({ timeout: SAID_MS })))
    await editing.keyboard.insertText('meanwhile')
    // A window that comes to the front asks again.
    await editing.evaluate('document.dispatchEvent(new Event("visibilitychange"))')
    await other.getByRole('link', { name: 'Audit' }).focus()
    await other.keyboard.press('Enter')
    await other.getByRole('heading', { name: 'This page cannot be shown' }).waitFor()
    await suite.served.start()
    await banner(editing).waitFor({ state: 'detached' })
    await editorOf(editing, 'JSON template').getByText('meanwhile').waitFor()
    await other.getByText('made the sync').first().waitFor()
    for (const page of [editing, other]) await page.context().close()
  })
})

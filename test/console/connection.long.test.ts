/** The pages while the server or the network is gone, and once they are back. */
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite, editorOf } from './console-suite.ts'

/** A page says within 5 s that it is cut off. A busy machine adds some. */
const SAID_MS = 9_000
/** Twenty pages of one browser check in turns on a busy machine. */
const MANY_SAID_MS = 20_000
const PATIENT = { timeout: 240_000 }

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

/** All other pages that show data. */
const MORE_PAGES = [
  ['/syncs/people', 'Failed rows'],
  ['/syncs/people/row?key=1', 'At the destination'],
  ['/resources/source/files', 'Health'],
  ['/resources/model/people', 'Lineage'],
  ['/resources/destination/api', 'Health'],
  ['/resources/destination/api/edit', 'Address of the API'],
  ['/alerts', 'Alerts'],
  ['/secrets', 'All secrets'],
  ['/tokens', 'Tokens'],
  ['/audit', 'made the sync'],
  ['/syncs/new', 'New sync'],
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

describe.each(['SIGSTOP', 'SIGKILL'] as const)('a server that had a %s', how => {
  it('is said within 5 s on every page, with the age of what is shown, and edits stay', PATIENT, async () => {
    const { served } = suite
    const run = (await served.project.runs())[0]?.id ?? ''
    const runPage = [`/runs/${run}`, 'Progress'] as const
    const pages: Page[] = []
    for (const [path, text] of [...PAGES, ...MORE_PAGES, runPage]) pages.push(await opened(path, text))
    const editing = await opened('/resources/destination/api/edit', 'Address of the API')
    await editing.getByRole('button', { name: 'Take it over' }).click()
    await editing.getByLabel('Address of the API').fill('https://typed.test')
    served.signal(how)
    await Promise.all(
      [...pages, editing].map(async page => {
        await banner(page).getByText('The server does not answer.').waitFor({ timeout: MANY_SAID_MS })
        await banner(page)
          .getByText(/Shown as of (just now|\d+ seconds ago|1 minute ago)/)
          .waitFor()
      }),
    )
    expect(await editing.getByLabel('Address of the API').inputValue()).toBe('https://typed.test')
    if (how === 'SIGSTOP') served.signal('SIGCONT')
    else await served.start()
    for (const page of [...pages, editing]) await banner(page).waitFor({ state: 'detached' })
    expect(await editing.getByLabel('Address of the API').inputValue()).toBe('https://typed.test')
    for (const page of [...pages, editing]) await page.context().close()
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

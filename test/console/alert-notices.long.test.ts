/** Alerts that begin while a page is open: a notice with a link, and the number at the bell. */
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml } from '../e2e/people-project.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const failing = (name: string): string =>
  `---\nkind: model\nname: ${name}\nsource: files\nsql: select id from '${name}.csv'\nprimaryKey: id\n` +
  `---\nkind: sync\nname: ${name}\nmodel: ${name}\ndestination: api\ntriggers: { added: { method: POST, path: / } }\n`
const ALERT = `---
kind: alert
name: team
title: Data team
syncs: all
when: [run-failed]
to: { webhook: { url: '\${API_URL}/hook', secret: '\${secret:hook}' } }
allowPrivateNetwork: true
`

const suite = consoleSuite({
  files: {
    'project.yaml': `${peopleYaml()}${failing('before')}${failing('orders')}${ALERT}`,
    'people.csv': peopleCsv('1,Ann'),
  },
  env: { SLUICE_SECRET_HOOK: 'notices-are-signed' },
})
const SOON = { timeout: 60_000, interval: 100 }

async function run(sync: string): Promise<void> {
  const answer = await fetch(`${suite.served.url}/api/v1/syncs/${sync}/runs`, {
    ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  })
  expect(answer.status).toBe(202)
}

async function firing(): Promise<readonly string[]> {
  const answer = await fetch(`${suite.served.url}/api/v1/alerts`)
  const { alerts } = (await answer.json()) as {
    readonly alerts: readonly { readonly firing: readonly { readonly sync: string }[] }[]
  }
  return alerts.flatMap(alert => alert.firing.map(({ sync }) => sync)).sort()
}

const bell = () => suite.page.locator('.bell > summary')
const toasts = () => suite.page.locator('.toast')

it('say nothing of an alert that fired before the page was opened', { timeout: 120_000 }, async () => {
  await run('before')
  await expect.poll(firing, SOON).toEqual(['before'])
  await suite.page.goto(suite.served.url)
  await expect.poll(() => bell().innerText(), SOON).toMatch(/^1\s*condition of an alert holds$/)
  expect(await toasts().count()).toBe(0)
})

it('tell of a new one once, in a polite region, and at the bell', { timeout: 120_000 }, async () => {
  await run('orders')
  const notice = suite.page.locator('[role=status][aria-live=polite] .toast[data-kind=notice]')
  await notice.waitFor({ timeout: 60_000 })
  expect(await notice.innerText()).toContain('Data team: orders: ')
  expect(await toasts().count()).toBe(1)
  expect(await bell().innerText()).toMatch(/^2\s*conditions of alerts hold\s*1 new$/)
  await expectAccessibleInAllColours(suite.page, 'a notice of an alert')

  // Its link opens the sync without loading the pages again.
  await suite.page.evaluate('window.isSamePage = true')
  await notice.getByRole('link', { name: 'Show orders' }).click()
  await suite.page.waitForURL('**/syncs/orders')
  expect(await suite.page.evaluate('window.isSamePage')).toBe(true)
  await notice.waitFor({ state: 'detached' })
})

it('come back with no later answer, even after one that lacks the alert', { timeout: 120_000 }, async () => {
  let answered = 0
  await suite.page.route('**/api/v1/alerts', async route => {
    answered += 1
    if (answered > 1) return await route.continue()
    const { alerts } = (await (await route.fetch()).json()) as { readonly alerts: readonly object[] }
    await route.fulfill({ json: { alerts: alerts.map(alert => ({ ...alert, firing: [] })) } })
  })
  await toasts().filter({ hasText: 'this is over' }).first().waitFor({ timeout: 60_000 })
  await expect.poll(() => answered, SOON).toBeGreaterThan(2)
  expect(await bell().innerText()).toMatch(/^2\s*conditions of alerts hold\s*3 new$/)
  expect((await toasts().allInnerTexts()).filter(text => !text.includes('over'))).toEqual([])
  await suite.page.unroute('**/api/v1/alerts')
})

it('are read once somebody opens the bell', async () => {
  await bell().click()
  await suite.page.getByText('All alerts').waitFor()
  expect(await bell().innerText()).toMatch(/^2\s*conditions of alerts hold$/)
})

it('has met no script error', () => {
  expect(suite.browser.complaints).toEqual([])
})

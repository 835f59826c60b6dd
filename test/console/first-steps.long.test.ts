/** The first start: an overview without a delivered row shows the steps, with what is done of them. */
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const suite = consoleSuite({
  files: { 'sluice.yaml': 'kind: project\nname: shop\n', 'customers.csv': 'id,name\n1,Ann\n' },
})

const steps = (page: Page = suite.page) => page.locator('.first-steps > li')
const states = (page: Page = suite.page) => steps(page).locator('.badge').allInnerTexts()
const step = (name: string) => suite.page.getByRole('link', { name, exact: true })

async function put(kind: string, name: string, fields: string): Promise<void> {
  const body = JSON.stringify({ yaml: `kind: ${kind}\nname: ${name}\n${fields}` })
  const answer = await fetch(`${suite.served.url}/api/v1/resources/${kind}/${name}`, {
    ...{ method: 'PUT', body, headers: { 'content-type': 'application/json' } },
  })
  expect(answer.status, await answer.text()).toBeLessThan(300)
}

async function post(path: string, body: object): Promise<void> {
  const answer = await fetch(`${suite.served.url}/api/v1${path}`, {
    ...{ method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
  })
  expect(answer.status, await answer.text()).toBeLessThan(300)
}

const signs = (all: readonly string[]): readonly string[] =>
  all.map(text => text.replaceAll(/[^a-z ]/g, '').trim())
const seen = (wanted: readonly string[], page?: Page) =>
  expect.poll(async () => signs(await states(page)), { timeout: 20_000 }).toEqual(wanted)

it('lists all steps as open, and each leads to where it is done', async () => {
  await suite.page.goto(suite.served.url)
  await seen(['next', 'to do', 'to do', 'to do', 'to do'])
  await expectAccessibleInAllColours(suite.page, 'the overview with the first steps')
  await step('Write a model').click()
  await suite.page.waitForURL('**/new?step=model')
})

it('marks what is there as done, and then leads to the sync', async () => {
  await put('source', 'files', 'type: duckdb\npath: .\n')
  await put(
    'model',
    'customers',
    "source: files\nsql: select id, name from 'customers.csv'\nprimaryKey: id\n",
  )
  await suite.page.goto(suite.served.url)
  await seen(['done', 'done', 'next', 'to do', 'to do'])
  await put('destination', 'api', `baseUrl: ${suite.api.url}\nallowPrivateNetwork: true\n`)
  const triggers = "triggers: { added: { method: PUT, path: '/customers/{{ id }}' } }\n"
  await put('sync', 'customers', `model: customers\ndestination: api\n${triggers}`)
  await suite.page.goto(suite.served.url)
  await suite.page.getByRole('heading', { name: 'First steps' }).waitFor()
  await seen(['done', 'done', 'done', 'next', 'to do'])
  expect(await step('Send a test request').getAttribute('href')).toBe('/syncs/customers/edit?step=requests')
  await post('/syncs/customers/test', { key: '1', trigger: 'added' })
  // The page finds out by itself.
  await seen(['done', 'done', 'done', 'done', 'next'])
  await step('Run it for the first time').click()
  await suite.page.waitForURL('**/syncs/customers')
})

it('stays away in a browser in which somebody hid it, and only there', async () => {
  const other = await suite.browser.open({ width: 375 })
  await other.goto(suite.served.url)
  await seen(['done', 'done', 'done', 'done', 'next'], other)
  expect(await other.evaluate('document.documentElement.scrollWidth')).toBe(375)
  await other.getByRole('button', { name: 'Hide the steps' }).click()
  await steps(other).first().waitFor({ state: 'detached' })
  await other.reload()
  await other.getByRole('heading', { name: '1 sync' }).waitFor()
  expect(await steps(other).count()).toBe(0)
  await other.context().close()
  await suite.page.goto(suite.served.url)
  await steps().first().waitFor()
})

it('goes away once the first row is delivered', async () => {
  await suite.page.goto(suite.served.url)
  await steps().first().waitFor()
  await post('/syncs/customers/runs', {})
  await steps().first().waitFor({ state: 'detached' })
  await suite.page.getByText('1 delivered', { exact: true }).waitFor()
})

it('has met no script error', () => {
  expect(suite.browser.complaints).toEqual([])
})

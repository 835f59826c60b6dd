/** Syncs are found by their labels, and by the word of their state. */
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml } from '../e2e/people-project.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const PEOPLE = 40
const more = (name: string, labels: string): string =>
  `---\nkind: model\nname: ${name}\nsource: files\nsql: select id from '${name}.csv'\nprimaryKey: id\n` +
  `---\nkind: sync\nname: ${name}\nlabels: ${labels}\nmodel: ${name}\ndestination: api\n` +
  'triggers: { added: { method: POST, path: / } }\n'

const suite = consoleSuite({
  files: {
    'project.yaml': `${peopleYaml({ sync: 'labels: [crm, "eu: west"]' })}${more('leads', '[crm]')}${more('stock', '[shop]')}`,
    'people.csv': peopleCsv(...Array.from({ length: PEOPLE }, (_, id) => `${id},Ann`)),
  },
  prepare: async ({ api, served }) => {
    // Four of 40 requests fail: the destination is degraded, and the sync is not failing.
    api.on({}, ({ url }) => (/\/[0-3]$/.test(url) ? { status: 422 } : { status: 200 }))
    await served.project.sluice('run', 'people')
    // Its file is not there.
    await served.project.sluice('run', 'leads')
  },
})

const rowsOf = (page: Page) => page.locator('table.syncs tbody tr')

it('by a label, in the list and from the page of a sync', async () => {
  const { page } = suite
  await page.goto(suite.served.url)
  await rowsOf(page).nth(2).waitFor()
  await page.getByRole('combobox', { name: /^Label/ }).selectOption('crm')
  await expect.poll(() => rowsOf(page).count()).toBe(2)
  expect(new URL(page.url()).search).toBe('?label=crm')
  await expectAccessibleInAllColours(page, 'the overview filtered by a label')
  await page.goto(`${suite.served.url}/syncs/people`)
  await page.getByRole('link', { name: 'eu: west' }).click()
  await page.getByRole('heading', { name: '3 syncs' }).waitFor()
  await expect.poll(() => rowsOf(page).allInnerTexts()).toEqual([expect.stringContaining('eu: west')])
})

it('by a label that somebody writes into the form', async () => {
  const { page, served } = suite
  await page.goto(`${served.url}/syncs/stock/edit?step=behaviour`)
  const field = page.getByLabel('Labels')
  await field.waitFor()
  expect(await field.inputValue()).toBe('shop')
  await page.getByRole('button', { name: 'Take it over' }).click()
  await field.fill('')
  await field.pressSequentially('shop, a night')
  expect(await field.inputValue()).toBe('shop, a night')
  await field.pressSequentially(', a#b')
  await page
    .getByText(/a label of letters, digits/)
    .first()
    .waitFor()
  await field.fill('shop, nightly')
  await page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name: 'Review' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('stock is saved').waitFor()
  const stored = await fetch(`${served.url}/api/v1/resources/sync/stock`)
  expect(await stored.json()).toMatchObject({ spec: { labels: ['shop', 'nightly'] } })
})

it('by a word of their state in the palette, and destinations by their health', async () => {
  const { page } = suite
  await page.goto(suite.served.url)
  await rowsOf(page).nth(2).waitFor()
  await page.keyboard.press('k')
  const find = page.getByRole('combobox', { name: /^Find/ })
  await find.waitFor()
  const first = page.getByRole('listbox', { name: 'Choices' }).getByRole('option').first()
  await find.fill('failing')
  await expect.poll(() => first.innerText()).toMatch(/leads[^]*failed/)
  await find.fill('degraded')
  await expect.poll(() => first.innerText()).toMatch(/api[^]*degraded/)
  await expectAccessibleInAllColours(page, 'the palette with states')
  await find.fill('never ran')
  await expect.poll(() => first.innerText()).toMatch(/stock[^]*never ran/)
  await find.fill('people')
  await expect.poll(() => first.innerText()).toMatch(/people[^]*/)
  await find.fill('failing')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/syncs/leads')
})

it('has met no script error', () => {
  expect(suite.browser.complaints).toEqual([])
})

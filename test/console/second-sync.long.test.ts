/** A server that has syncs already: another one beside them, and one that comes from files. */
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { consoleSuite, editorOf, writeInto } from './console-suite.ts'

const suite = consoleSuite({
  files: { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n2,Bob\n' },
})

const preview = () => suite.page.getByRole('region', { name: 'Live preview' })
const step = (name: string, page = suite.page) =>
  page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name })

const choose = async (kind: string, name: string, page = suite.page): Promise<void> => {
  await page.getByLabel(`Use this ${kind}`).selectOption(name)
}

async function versionOf(kind: string, name: string): Promise<number> {
  const answer = await fetch(`${suite.served.url}/api/v1/resources/${kind}/${name}`)
  return ((await answer.json()) as { version: number }).version
}

describe('a sync that comes from files', () => {
  it('can be written in every field, once somebody has taken it over', async () => {
    await suite.page.goto(`${suite.served.url}/syncs/people/edit?step=requests`)
    await preview().getByText('"Ann"').waitFor()
    await writeInto(suite.page, 'JSON template', '{"full": {{ row.name | json }}}')
    expect(await editorOf(suite.page, 'JSON template').innerText()).toContain('"name"')
    await suite.page.getByRole('button', { name: 'Take it over' }).click()
    await writeInto(suite.page, 'JSON template', '{"full": {{ row.name | json }}}')
    await preview().getByText('"full": "Ann"').waitFor()
  })

  it('is saved as soon as the server has it, whatever a preview still takes', async () => {
    await step('Review').click()
    await suite.page.getByText('2 rows will count as added').waitFor()
    await suite.page.route('**/api/v1/preview', () => undefined)
    await suite.page.getByRole('button', { name: 'Save', exact: true }).click()
    await suite.page.getByText('people is saved').waitFor()
    await suite.page.getByRole('heading', { name: 'people', level: 1 }).waitFor()
    await suite.page.unroute('**/api/v1/preview', undefined)
  })
})

describe('another sync', () => {
  it('asks for its source and its destination, and before it changes one that others use', async () => {
    await suite.page.goto(`${suite.served.url}/new?step=destination`)
    await suite.page.getByLabel('Use this destination').waitFor()
    expect(await suite.page.getByLabel('Address of the API').count()).toBe(0)
    await suite.page.getByLabel('Use this destination').selectOption('api')
    await suite.page.getByText('1 other sync uses this destination: people.').waitFor()
    expect(await suite.page.getByLabel('Address of the API').getAttribute('readonly')).not.toBeNull()
    await suite.page.getByRole('button', { name: 'Make a copy' }).click()
    await expect.poll(() => suite.page.getByLabel('Name', { exact: true }).inputValue()).toBe('api-2')
    expect(await suite.page.getByLabel('Address of the API').getAttribute('readonly')).toBeNull()
    await suite.page.getByLabel('Use this destination').selectOption('api')
    expect(await suite.page.getByLabel('Address of the API').inputValue()).toBe(suite.api.url)
    await step('Review').click()
    await suite.page.getByText('Choose a source, or make a new one.').waitFor()
    await step('Source').click()
    await choose('source', 'files')
    await step('Model').click()
    expect(await suite.page.getByLabel('Use this model').inputValue()).toBe('')
    expect(await suite.page.getByLabel('Name', { exact: true }).inputValue()).toBe('customers')
  })

  it('uses a model that is there, and leaves all that it uses as it is', async () => {
    await suite.page.getByLabel('Use this model').selectOption('people')
    await suite.page.getByRole('cell', { name: 'Bob' }).waitFor()
    await step('Schedule and errors').click()
    await suite.page.getByLabel('Name of the sync').fill('people')
    await suite.page.getByText('There is a sync people already').first().waitFor()
    await suite.page.getByLabel('Name of the sync').fill('people-again')
    await step('Review').click()
    await suite.page.getByText('2 rows will count as added').waitFor()
    expect(await suite.page.locator('summary').allInnerTexts()).toEqual(['New sync people-again'])
    const before = await versionOf('destination', 'api')
    await suite.page.getByRole('button', { name: 'Save and run' }).click()
    await suite.page.getByRole('heading', { name: 'Run of people-again' }).waitFor()
    await suite.page.getByText('success').first().waitFor()
    // The body has all columns, until somebody writes another one.
    const bodies = suite.api.requests.map(({ body }): unknown => JSON.parse(body))
    expect(bodies).toEqual(
      expect.arrayContaining([
        { id: 1, name: 'Ann' },
        { id: 2, name: 'Bob' },
      ]),
    )
    expect(await versionOf('destination', 'api')).toBe(before)
  })

  it('takes the place of nothing that somebody has made meanwhile', async () => {
    await suite.page.goto(`${suite.served.url}/new?step=destination`)
    await suite.page.getByLabel('Use this destination').selectOption('A new one')
    await suite.page.getByLabel('Name', { exact: true }).fill('crm')
    await suite.page.getByLabel('Address of the API').fill(suite.api.url)
    const put = (kind: string, name: string, spec: object) =>
      fetch(`${suite.served.url}/api/v1/resources/${kind}/${name}`, {
        ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ spec }),
      })
    expect((await put('destination', 'crm', { baseUrl: 'https://example.com' })).status).toBe(200)
    await step('Source').click()
    await choose('source', 'files')
    await step('Model').click()
    await writeInto(suite.page, 'SQL of the model', "select id, name from 'people.csv'")
    await step('Review').click()
    await suite.page.getByText('2 rows will count as added').waitFor()
    await suite.page.getByRole('button', { name: 'Save', exact: true }).click()
    const conflict = suite.page.getByRole('dialog', { name: /Somebody else has changed/ })
    await conflict.getByText('baseUrl: https://example.com').waitFor()
    await conflict.getByRole('button', { name: 'Go on editing mine' }).click()
    expect(await versionOf('destination', 'crm')).toBe(1)
  })
})

describe('a kept draft of a new sync', () => {
  it('saves over nothing that others have saved while the page was away', async () => {
    const own = await suite.browser.open()
    const path = `${suite.served.url}/api/v1/resources/destination/shared`
    const put = (spec: object) =>
      fetch(path, {
        ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ spec }),
      })
    expect((await put({ baseUrl: suite.api.url })).status).toBe(200)
    await own.goto(`${suite.served.url}/new?step=destination`)
    await own.getByLabel('Use this destination').selectOption('shared')
    await own.getByLabel('Concurrent requests').fill('7')
    await step('Source', own).click()
    await choose('source', 'files', own)
    await step('Model', own).click()
    await writeInto(own, 'SQL of the model', "select id, name from 'people.csv'")
    await own.getByRole('cell', { name: 'Bob' }).waitFor()
    expect((await put({ baseUrl: suite.api.url, limits: { concurrency: 3 } })).status).toBe(200)
    await own.goto(`${suite.served.url}/new?step=review`)
    await own.getByText('What you had typed here before is back.').waitFor()
    await own.getByText('2 rows will count as added').waitFor()
    await own.getByRole('button', { name: 'Save', exact: true }).click()
    const conflict = own.getByRole('dialog', { name: 'Somebody else has changed the destination shared' })
    await conflict.getByText('concurrency: 3').waitFor()
    await conflict.getByText('concurrency: 7').waitFor()
    expect(await versionOf('destination', 'shared')).toBe(2)
    await conflict.getByRole('button', { name: 'Save mine over theirs' }).click()
    await own.getByRole('heading', { name: 'customers', level: 1 }).waitFor()
    expect(await versionOf('destination', 'shared')).toBe(3)
    await own.context().close()
  })
})

describe('a server that has no room for a further preview at the moment', () => {
  it('is asked again, and the page says what will be sent', async () => {
    await suite.page.goto(`${suite.served.url}/syncs/people/edit?step=requests`)
    let refused = 0
    await suite.page.route('**/api/v1/preview', async (route, request) => {
      // The preview beside the form asks for a sample, and what will be sent is asked for without one.
      if (refused === 2 || request.postData()?.includes('"sample"') === true) return await route.continue()
      refused += 1
      return await route.fulfill({
        ...{ status: 429, headers: { 'retry-after': '0' }, contentType: 'application/problem+json' },
        body: JSON.stringify({
          type: 'about:blank',
          title: 'conflict',
          status: 429,
          code: 'conflict',
          detail: 'Busy.',
        }),
      })
    })
    await step('Review').click()
    await suite.page.getByText('The next run', { exact: true }).waitFor()
    expect(refused).toBe(2)
    await suite.page.unroute('**/api/v1/preview')
  })
})

describe('the files of a folder', () => {
  it('are offered before anything is called wrong, and become queries by one click', async () => {
    // A browser that keeps no draft.
    const own = await suite.browser.open()
    await own.goto(`${suite.served.url}/new?step=destination`)
    await choose('destination', 'api', own)
    await own.goto(`${suite.served.url}/new`)
    await choose('source', 'files', own)
    const shown = own.getByRole('region', { name: 'Live preview' })
    await shown.getByText('Choose a source, then a table, a file, a topic or a query').waitFor()
    expect(await own.getByText('customers.csv').count()).toBe(0)
    await step('Model', own).click()
    await own.getByText('The first rows appear here.').waitFor()
    expect(await own.locator('.trouble, .preview-error, .bad').count()).toBe(0)
    // A person who goes on without a choice is told what is missing.
    await step('Requests', own).click()
    await shown.getByText('Choose a table or a file, or write a query.').waitFor()
    await step('Model — to mend', own).click()
    await own.getByRole('button', { name: 'people.csv' }).click()
    await own.getByRole('cell', { name: 'Bob' }).waitFor()
    const sql = own.locator('[data-label="SQL of the model"] .cm-content')
    expect(await sql.innerText()).toBe("select * from 'people.csv'")
    await own.context().close()
  })
})

describe('the field mapper', () => {
  const names = () =>
    suite.page.evaluate(`[...document.querySelectorAll('.mapper li input')].map(({ value }) => value)`)
  const field = (number: number) => suite.page.getByLabel(`Name of field ${number}`)

  it('moves fields by keyboard, and by dragging their handles', async () => {
    await suite.page.goto(`${suite.served.url}/new?step=destination`)
    await choose('destination', 'api')
    await step('Model').click()
    await suite.page.getByLabel('Use this model').selectOption('people')
    await suite.page.getByRole('cell', { name: 'Bob' }).waitFor()
    await step('Requests').click()
    await suite.page.getByRole('combobox', { name: /^Body/ }).selectOption('JSON from a map of fields')
    expect(await names()).toEqual(['id', 'name'])
    await suite.page.getByRole('button', { name: 'Remove name' }).click()
    await suite.page.getByRole('button', { name: 'Add all columns' }).click()
    await suite.page.getByRole('button', { name: 'Add a field' }).click()
    expect(await names()).toEqual(['id', 'name', 'field3'])
    await field(1).focus()
    await suite.page.keyboard.press('Alt+ArrowDown')
    await suite.page.keyboard.press('Alt+ArrowDown')
    expect(await names()).toEqual(['name', 'field3', 'id'])
    // The focus has gone along, so the next letters are those of the same field.
    await suite.page.keyboard.press('End')
    await suite.page.keyboard.type('s')
    expect(await names()).toEqual(['name', 'field3', 'ids'])
    await suite.page.locator('.mapper .handle').nth(2).dragTo(suite.page.locator('.mapper li').first())
    expect(await names()).toEqual(['ids', 'name', 'field3'])
  })

  it('keeps every field, whatever name another one has on its way', async () => {
    await field(3).fill('name')
    expect(await field(3).getAttribute('aria-invalid')).toBe('true')
    await field(3).fill('names')
    expect(await names()).toEqual(['ids', 'name', 'names'])
    await preview().getByText('"names"').first().waitFor()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

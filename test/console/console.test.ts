/** The whole way of a person who sets up a sync in the browser, without touching a file. */
import { describe, expect, it } from 'vitest'
import { expectAccessible } from './console-page.ts'
import { consoleSuite, writeInto } from './console-suite.ts'

const CUSTOMERS = 'id,name,email\n1,Ada,ada@example.com\n2,Alan,alan@example.com\n3,Grace,grace@example.com\n'
const FILES = { 'sluice.yaml': 'kind: project\nname: shop\n', 'customers.csv': CUSTOMERS }

const suite = consoleSuite({ files: FILES })

const bodies = (): readonly unknown[] =>
  suite.api.requests.map(({ body }): unknown => JSON.parse(String(body)))

describe('a person with an empty server', () => {
  it('is told what a sync is, and led to setting one up', async () => {
    await suite.page.goto(suite.served.url)
    await suite.page.getByRole('heading', { name: 'Set up your first sync' }).waitFor()
    await expectAccessible(suite.page, 'the empty overview')
    await suite.page.getByRole('link', { name: 'Set up a sync' }).click()
    await suite.page.getByRole('heading', { name: 'New sync' }).waitFor()
  })

  it('tests the source, sees rows while typing SQL, and has the key checked', async () => {
    await suite.page.getByRole('button', { name: 'Test connection' }).click()
    await suite.page.getByText('The source answers').waitFor()
    await suite.page.getByRole('button', { name: 'Model', exact: true }).click()
    await writeInto(suite.page, 'SQL of the model', "select id, name, email from 'customers.csv'")
    await suite.page.getByRole('cell', { name: 'ada@example.com' }).waitFor()
    await suite.page.getByRole('button', { name: 'Check the key' }).click()
    await suite.page.getByText('Each of the 3 rows has a key of its own').waitFor()
  })

  it('sees the request that a row becomes, and each mistake where it is', async () => {
    await suite.page.getByRole('button', { name: 'Destination', exact: true }).click()
    await suite.page.getByLabel('Address of the API').fill(suite.api.url)
    await suite.page.getByRole('button', { name: 'Requests', exact: true }).click()
    const preview = suite.page.getByRole('region', { name: 'Live preview' })
    await writeInto(suite.page, 'JSON template', '{"id": {{ row.id }}, "mail": {{ row.emial | json }}}')
    const told = 'Unknown column "emial"; did you mean "email"?'
    await suite.page.locator('.field-error', { hasText: told }).waitFor()
    await preview.getByText('before this is mended: Body').waitFor()
    await writeInto(suite.page, 'JSON template', '{"id": {{ row.id }}, "mail": {{ row.email | json }}}')
    await preview.getByText('"mail": "ada@example.com"').waitFor()
    await expectAccessible(suite.page, 'the editor')
  })

  it('is told what the first run will send, saves, and watches it being delivered', async () => {
    await suite.page.getByRole('button', { name: 'Review' }).click()
    await suite.page.getByText('3 rows will count as added').waitFor()
    await suite.page.getByRole('button', { name: 'Save and run' }).click()
    await suite.page.getByRole('heading', { name: 'Run of customers' }).waitFor()
    await suite.page.getByText('success').first().waitFor()
    expect(bodies()).toEqual(expect.arrayContaining([{ id: 1, mail: 'ada@example.com' }]))
    expect(suite.api.requests).toHaveLength(3)
    await expectAccessible(suite.page, 'a run that has ended')
  })

  it('finds out in the debugger why the API refuses, and mends the template', async () => {
    suite.api.on({}, ({ body }) =>
      String(body).includes('"mail"') ? { status: 422, body: '{"error":"mail: unknown field"}' } : {},
    )
    await suite.served.project.write('customers.csv', CUSTOMERS.replace('ada@', 'lovelace@'))
    await suite.page.getByRole('button', { name: 'Run customers now' }).click()
    await suite.page.getByText('mail: unknown field').first().waitFor()
    await suite.page.getByRole('link', { name: 'its requests' }).first().click()
    await suite.page.getByRole('button', { name: /422/ }).first().click()
    const request = suite.page.getByRole('region', { name: 'The request' })
    await request.getByText('"mail": "lovelace@example.com"').waitFor()
    await request.getByText('mail: unknown field').first().waitFor()
    await expectAccessible(suite.page, 'the debugger')
    await suite.page.goto(`${suite.served.url}/syncs/customers/edit?step=requests`)
    await writeInto(suite.page, 'JSON template', '{"id": {{ row.id }}, "email": {{ row.email | json }}}')
    await suite.page
      .getByRole('region', { name: 'Live preview' })
      .getByText('"email": "lovelace@example.com"')
      .waitFor()
    await suite.page.getByRole('button', { name: 'Review' }).click()
    await suite.page.getByRole('button', { name: 'Save', exact: true }).click()
    await suite.page.getByText('customers is saved').waitFor()
  })

  it('tries the row again, which now arrives, and sends its request once more', async () => {
    await suite.page.getByRole('button', { name: 'Retry all…' }).click()
    await suite.page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click()
    await suite.page.getByRole('heading', { name: 'Run of customers' }).waitFor()
    await suite.page.getByText('success').first().waitFor()
    const mended = { id: 1, email: 'lovelace@example.com' }
    const arrived = (): number =>
      bodies().filter(body => JSON.stringify(body) === JSON.stringify(mended)).length
    expect(arrived()).toBe(1)
    await suite.page.getByRole('link', { name: 'Requests' }).last().click()
    await suite.page.getByRole('button', { name: /200/ }).first().click()
    const request = suite.page.getByRole('region', { name: 'The request' })
    await request.getByRole('button', { name: 'Replay…' }).click()
    await suite.page.getByText('1 request of 1 row would go out as it was recorded').waitFor()
    await expectAccessible(suite.page, 'the question before a replay')
    await suite.page.getByRole('button', { name: 'Send again' }).click()
    await suite.page.getByText('replay').first().waitFor()
    await suite.page.getByText('success').first().waitFor()
    expect(arrived()).toBe(2)
  })

  it('has met no script error and no refusal of the page’s own policy', () => {
    expect(suite.browser.complaints).toEqual([])
  })
})

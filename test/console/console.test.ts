/** The whole way of a person who sets up a sync in the browser, without touching a file. */
import type { Page } from 'playwright-core'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  expectAccessible,
  servedConsole,
  startBrowser,
  type Looking,
  type ServedConsole,
} from './console-page.ts'

const CUSTOMERS = 'id,name,email\n1,Ada,ada@example.com\n2,Alan,alan@example.com\n3,Grace,grace@example.com\n'
const FILES = { 'sluice.yaml': 'kind: project\nname: shop\n', 'customers.csv': CUSTOMERS }

let api: ScriptedApi
let served: ServedConsole
let browser: Looking
let page: Page
beforeAll(async () => {
  api = await startScriptedApi()
  ;[served, browser] = await Promise.all([servedConsole({ files: FILES }), startBrowser()])
  page = await browser.open()
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const bodies = (): readonly unknown[] => api.requests.map(({ body }): unknown => JSON.parse(String(body)))
const editor = (label: string) => page.locator(`[data-label="${label}"] .cm-content`)

async function write(label: string, text: string): Promise<void> {
  await editor(label).click()
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.insertText(text)
}

describe('a person with an empty server', () => {
  it('is told what a sync is, and led to setting one up', async () => {
    await page.goto(served.url)
    await page.getByRole('heading', { name: 'Set up your first sync' }).waitFor()
    await expectAccessible(page, 'the empty overview')
    await page.getByRole('link', { name: 'Set up a sync' }).click()
    await page.getByRole('heading', { name: 'New sync' }).waitFor()
  })

  it('tests the source, sees rows while typing SQL, and has the key checked', async () => {
    await page.getByRole('button', { name: 'Test the connection' }).click()
    await page.getByText('The source answers').waitFor()
    await page.getByRole('button', { name: 'Model', exact: true }).click()
    await write('SQL of the model', "select id, name, email from 'customers.csv'")
    await page.getByRole('cell', { name: 'ada@example.com' }).waitFor()
    await page.getByRole('button', { name: 'Check the key' }).click()
    await page.getByText('Each of the 3 rows has a key of its own').waitFor()
  })

  it('sees the request that a row becomes, and each mistake where it is', async () => {
    await page.getByRole('button', { name: 'Destination', exact: true }).click()
    await page.getByLabel('Address of the API').fill(api.url)
    await page.getByRole('button', { name: 'Requests', exact: true }).click()
    const preview = page.getByRole('region', { name: 'Live preview' })
    await write('JSON template', '{"id": {{ row.id }}, "mail": {{ row.emial | json }}}')
    await preview.getByText('email').first().waitFor()
    expect(await preview.innerText()).toContain('emial')
    await write('JSON template', '{"id": {{ row.id }}, "mail": {{ row.email | json }}}')
    await preview.getByText('"mail": "ada@example.com"').waitFor()
    await expectAccessible(page, 'the editor')
  })

  it('is told what the first run will send, saves, and watches it being delivered', async () => {
    await page.getByRole('button', { name: 'Review' }).click()
    await page.getByText('3 rows will count as added').waitFor()
    await page.getByRole('button', { name: 'Save and run' }).click()
    await page.getByRole('heading', { name: 'Run of customers' }).waitFor()
    await page.getByText('success').first().waitFor()
    expect(bodies()).toEqual(expect.arrayContaining([{ id: 1, mail: 'ada@example.com' }]))
    expect(api.requests).toHaveLength(3)
    await expectAccessible(page, 'a run that has ended')
  })

  it('finds out in the debugger why the API refuses, and mends the template', async () => {
    api.on({}, ({ body }) =>
      String(body).includes('"mail"') ? { status: 422, body: '{"error":"mail: unknown field"}' } : {},
    )
    await served.project.write('customers.csv', CUSTOMERS.replace('ada@', 'lovelace@'))
    await page.getByRole('button', { name: 'Run customers now' }).click()
    await page.getByText('mail: unknown field').first().waitFor()
    await page.getByRole('link', { name: 'its requests' }).first().click()
    await page.getByRole('button', { name: /422/ }).first().click()
    const request = page.getByRole('region', { name: 'The request' })
    await request.getByText('"mail": "lovelace@example.com"').waitFor()
    await request.getByText('mail: unknown field').first().waitFor()
    await expectAccessible(page, 'the debugger')
    await page.goto(`${served.url}/syncs/customers/edit?step=requests`)
    await write('JSON template', '{"id": {{ row.id }}, "email": {{ row.email | json }}}')
    await page
      .getByRole('region', { name: 'Live preview' })
      .getByText('"email": "lovelace@example.com"')
      .waitFor()
    await page.getByRole('button', { name: 'Review' }).click()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('customers is saved').waitFor()
  })

  it('tries the row again, which now arrives, and sends its request once more', async () => {
    await page.getByRole('button', { name: 'Try all again' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('heading', { name: 'Run of customers' }).waitFor()
    await page.getByText('success').first().waitFor()
    const mended = { id: 1, email: 'lovelace@example.com' }
    const arrived = (): number =>
      bodies().filter(body => JSON.stringify(body) === JSON.stringify(mended)).length
    expect(arrived()).toBe(1)
    await page.getByRole('link', { name: 'Requests' }).last().click()
    await page.getByRole('button', { name: /200/ }).first().click()
    const request = page.getByRole('region', { name: 'The request' })
    await request.getByRole('button', { name: 'Replay…' }).click()
    await page.getByText('1 request of 1 row would go out as it was recorded').waitFor()
    await expectAccessible(page, 'the question before a replay')
    await page.getByRole('button', { name: 'Send again' }).click()
    await page.getByText('replay').first().waitFor()
    await page.getByText('success').first().waitFor()
    expect(arrived()).toBe(2)
  })

  it('has met no script error and no refusal of the page’s own policy', () => {
    expect(browser.complaints).toEqual([])
  })
})

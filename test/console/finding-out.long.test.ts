/** What helps people to find out what happened: in the debugger, in a run that is held, and by alerts. */
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

const LONG = JSON.stringify({ said: 'x'.repeat(100_000) })

let api: ScriptedApi
let browser: Looking
let served: ServedConsole
let page: Page
beforeAll(async () => {
  api = await startScriptedApi()
  api.on({ url: '/people/1' }, { status: 422, body: '{"error":"name: must be longer"}' })
  api.on({ url: '/people/2' }, { body: LONG })
  browser = await startBrowser()
  const sync = 'removalGuard: { share: 0.5, rows: 1 }'
  const files = { 'project.yaml': peopleYaml({ sync }), 'people.csv': 'id,name\n1,Ann\n2,Bob\n3,Cyd\n' }
  served = await servedConsole({ files, env: { API_URL: api.url } })
  await served.project.sluice('run', 'people')
  page = await browser.open()
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const request = () => page.getByRole('region', { name: 'The request' })

describe('a request', () => {
  it('shows the template that made it, and the names that the answer speaks of', async () => {
    await page.goto(`${served.url}/requests?status=422`)
    await page.getByRole('button', { name: /422/ }).first().click()
    const template = request().getByRole('region', { name: 'Template for added rows' })
    await template.getByText('path: /people/{{ id }}').waitFor()
    expect(await template.locator('[data-named=true]').count()).toBe(1)
    expect(await template.locator('mark').first().innerText()).toContain('name')
    await request().getByRole('link', { name: 'Edit it' }).waitFor()
  })

  it('says how much of a long answer is kept, laid out and as sent', async () => {
    await page.goto(`${served.url}/requests?key=2`)
    await page.getByRole('button', { name: /200/ }).first().click()
    const told = request().getByText('This is the beginning: 64.0 KB of 97.7 KB are kept.')
    await told.waitFor()
    const answer = request().locator('.message').last()
    // The kept part ends in the middle of a text, and is laid out all the same.
    expect(await answer.locator('pre').textContent()).toMatch(/^\{\n {2}"said": "x+/)
    await answer.getByRole('button', { name: 'As sent' }).click()
    expect(await answer.locator('pre').textContent()).toMatch(/^\{"said":"x+/)
    await told.waitFor()
    await expectAccessible(page, 'an answer of which the beginning is kept')
  })

  it('is found by when it was sent, in the reader’s own time', async () => {
    await page.goto(`${served.url}/requests`)
    const lines = page.locator('.request-line')
    await lines.first().waitFor()
    await page.getByRole('combobox', { name: /^Sent/ }).selectOption('Last hour')
    await expect.poll(() => lines.count()).toBe(3)
    await page.getByLabel('From').fill('')
    await page.getByLabel('Until').fill('2020-01-01T00:00:00')
    await page.getByText('No request fits these filters.').waitFor()
    await page.getByRole('button', { name: 'Clear' }).click()
    await expect.poll(() => lines.count()).toBe(3)
    expect(await page.getByLabel('From').count()).toBe(0)
  })
})

describe('a run that is held', () => {
  it('shows the rows that it would remove, as they are known', async () => {
    await served.project.write('people.csv', 'id,name\n')
    await served.project.sluice('run', 'people')
    const held = (await served.project.runs()).find(({ status }) => status === 'held')?.id ?? ''
    await page.goto(`${served.url}/runs/${held}`)
    await page.getByText('id: 3, name: "Cyd"').waitFor()
    await expectAccessible(page, 'a held run')
  })
})

describe('an alert', () => {
  it('is written from an example, and what is wrong with it is told', async () => {
    await page.goto(`${served.url}/alerts`)
    await page.getByRole('link', { name: 'New alert' }).click()
    const editor = page.locator('[data-label="The alert as YAML"] .cm-content')
    const write = async (text: string): Promise<void> => {
      await editor.click()
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.insertText(text)
    }
    await write('kind: alert\nname: on-call\nsyncs: all\nwhen: [run-faild]\nto: { webhook: { url: x } }\n')
    await page.getByRole('button', { name: 'Save the alert' }).click()
    await page.getByRole('alert').getByText(/when/).first().waitFor()
    await write(
      `kind: alert\nname: on-call\nsyncs: all\nwhen: [held]\nto: { webhook: { url: 'https://alerts.example.com/told', secret: '\${secret:alerts}' } }\n`,
    )
    await page.getByRole('button', { name: 'Save the alert' }).click()
    await page.getByRole('heading', { name: 'on-call' }).waitFor()
    await page.getByRole('link', { name: 'Edit on-call' }).waitFor()
  })
})

describe('what is not there', () => {
  it('is said with a way out', async () => {
    await page.goto(`${served.url}/syncs/nobody`)
    await page.getByText('There is no sync nobody.').waitFor()
    await page.getByRole('link', { name: 'To the overview' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(browser.complaints).toEqual([])
})

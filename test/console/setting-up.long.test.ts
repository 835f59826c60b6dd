/** What helps people to set up a sync: a sample, the times of a schedule. */
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  expectAccessible,
  servedConsole,
  startBrowser,
  type Looking,
  type ServedConsole,
} from './console-page.ts'

let api: ScriptedApi
let browser: Looking
let served: ServedConsole
let page: Page
beforeAll(async () => {
  api = await startScriptedApi()
  browser = await startBrowser()
  served = await servedConsole({ files: { 'sluice.yaml': 'kind: project\nname: shop\n' } })
  page = await browser.open()
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const makeSample = async (to?: string): Promise<void> => {
  await page.goto(served.url)
  await page.getByRole('button', { name: 'Make the sample project…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Make the sample project?' })
  await dialog.getByText('sample-receiver').waitFor()
  if (to === undefined) await expectAccessible(page, 'the question about the sample')
  else await dialog.getByLabel('It sends to').fill(to)
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await page.getByRole('heading', { name: 'sample-customers', level: 1 }).waitFor()
}

const runSample = async (): Promise<void> => {
  await page.getByRole('button', { name: 'Run sample-customers now' }).click()
  await page.getByRole('heading', { name: 'Run of sample-customers' }).waitFor()
  await page.getByText('success').first().waitFor()
}

const removeSample = async (): Promise<void> => {
  await page.goto(served.url)
  await page.getByRole('button', { name: 'Remove the sample…' }).click()
  await page.getByRole('button', { name: 'Remove it' }).click()
  await page.getByText('The sample project is gone.').waitFor()
  await page.getByRole('heading', { name: 'Set up your first sync' }).waitFor()
}

describe('the sample project', () => {
  it('is made by one click, and delivers to the server itself', async () => {
    await makeSample()
    await runSample()
    const { stdout } = await served.project.sluice('attempts', '--json')
    const { attempts } = JSON.parse(stdout) as {
      attempts: { status: number; url: string; responseBody: string }[]
    }
    expect(attempts).toHaveLength(3)
    for (const { status, url } of attempts) {
      expect(status).toBe(200)
      expect(url).toBe(`${served.url}/api/v1/sample/receiver/customers`)
    }
    expect(attempts.map(({ responseBody }) => responseBody).join()).toContain('ada@example.com')
  })

  it('goes without a trace, and sends to an address of somebody’s own', async () => {
    await removeSample()
    const { resources } = (await (await fetch(`${served.url}/api/v1/resources`)).json()) as {
      resources: unknown[]
    }
    expect(resources).toEqual([])
    await makeSample(api.url)
    await runSample()
    expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /customers',
      'POST /customers',
      'POST /customers',
    ])
    await removeSample()
  })

  it('takes nothing that is somebody else’s for its own', async () => {
    const path = `${served.url}/api/v1/resources/destination/sample-receiver`
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ spec: { baseUrl: 'https://example.com' } })
    expect((await fetch(path, { method: 'PUT', headers, body })).status).toBe(200)
    await page.goto(served.url)
    await page.getByRole('button', { name: 'Make the sample project…' }).click()
    await page.getByRole('button', { name: 'Make it' }).click()
    const told = page.getByRole('dialog').getByRole('alert')
    await told.waitFor()
    expect(await told.innerText()).toMatch(/`sample-receiver` is at version/)
    const { resources } = (await (await fetch(`${served.url}/api/v1/resources`)).json()) as {
      resources: { name: string; spec: { baseUrl: string } }[]
    }
    expect(resources).toMatchObject([{ name: 'sample-receiver', spec: { baseUrl: 'https://example.com' } }])
    await fetch(path, { method: 'DELETE' })
  })
})

describe('the schedule of a sync', () => {
  it('shows its next five times as it is typed, and what is wrong with it', async () => {
    await page.goto(`${served.url}/new?step=behaviour`)
    await page.getByRole('combobox', { name: /^Schedule/ }).selectOption('cron')
    await page.getByLabel('Time zone').fill('Asia/Tokyo')
    const times = page.locator('.next-times')
    await times.getByText('in Asia/Tokyo').waitFor()
    await page.getByRole('textbox', { name: 'Cron' }).fill('0 9 * * mon')
    await expect.poll(async () => await times.locator('li').allInnerTexts()).toHaveLength(5)
    await expect
      .poll(async () =>
        (await times.locator('time').allInnerTexts()).every(text => /^Mon.*09:00:00$/.test(text)),
      )
      .toBe(true)
    await expectAccessible(page, 'the times of a schedule')
    await page.getByRole('textbox', { name: 'Cron' }).fill('99 9 * * mon')
    await page.locator('.field-error').first().waitFor()
    await page.getByRole('combobox', { name: /^Schedule/ }).selectOption('manual')
    await expect.poll(async () => await times.count()).toBe(0)
  })
})

it('has met no script error and no refusal of the page’s own policy', () => {
  expect(browser.complaints).toEqual([])
})

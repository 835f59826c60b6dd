/** People find out what happened: in the debugger, in a run that is held, and by alerts. */
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const LONG = JSON.stringify({ said: 'x'.repeat(100_000) })

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({ sync: 'removalGuard: { share: 0.5, rows: 1 }' }),
    'people.csv': 'id,name\n1,Ann\n2,Bob\n3,Cyd\n',
  },
  prepare: async ({ api, served }) => {
    api.on({ url: '/people/1' }, { status: 422, body: '{"error":"name: must be longer"}' })
    api.on({ url: '/people/2' }, { body: LONG })
    await served.project.sluice('run', 'people')
  },
})

const request = () => suite.page.getByRole('region', { name: 'The request' })

describe('a request', () => {
  it('shows the template that made it, and the names that the answer speaks of', async () => {
    await suite.page.goto(`${suite.served.url}/requests?status=422`)
    await suite.page.getByRole('button', { name: /422/ }).first().click()
    const template = request().getByRole('region', { name: 'Template for added rows' })
    await template.getByText('path: /people/{{ id }}').waitFor()
    expect(await template.locator('[data-named=true]').count()).toBe(1)
    expect(await template.locator('mark').first().innerText()).toContain('name')
    await request().getByRole('link', { name: 'Edit it' }).waitFor()
  })

  it('says how much of a long answer is kept, laid out and as sent', async () => {
    await suite.page.goto(`${suite.served.url}/requests?key=2`)
    await suite.page.getByRole('button', { name: /200/ }).first().click()
    const told = request().getByText('This is the beginning: 64.0 KB of 97.7 KB are kept.')
    await told.waitFor()
    const answer = request().locator('.message').last()
    // The kept part ends in the middle of a text, and is laid out all the same.
    expect(await answer.locator('pre').textContent()).toMatch(/^\{\n {2}"said": "x+/)
    await answer.getByRole('button', { name: 'As received' }).click()
    expect(await answer.locator('pre').textContent()).toMatch(/^\{"said":"x+/)
    await told.waitFor()
    await expectAccessible(suite.page, 'an answer of which the beginning is kept')
  })

  it('is found by when it was sent, in the reader’s own time', async () => {
    await suite.page.goto(`${suite.served.url}/requests`)
    const lines = suite.page.locator('.request-line')
    await lines.first().waitFor()
    await suite.page.getByRole('combobox', { name: /^Sent/ }).selectOption('Last hour')
    await expect.poll(() => lines.count()).toBe(3)
    await suite.page.getByLabel('From').fill('')
    await suite.page.getByLabel('Until').fill('2020-01-01T00:00:00')
    await suite.page.getByText('No request fits these filters.').waitFor()
    await suite.page.getByRole('button', { name: 'Clear' }).click()
    await expect.poll(() => lines.count()).toBe(3)
    expect(await suite.page.getByLabel('From').count()).toBe(0)
  })
})

describe('a run that is held', () => {
  it('shows the rows that it would remove, as they are known', async () => {
    await suite.served.project.write('people.csv', 'id,name\n')
    await suite.served.project.sluice('run', 'people')
    const held = (await suite.served.project.runs()).find(({ status }) => status === 'held')?.id ?? ''
    await suite.page.goto(`${suite.served.url}/runs/${held}`)
    await suite.page.getByText('id: 3, name: "Cyd"').waitFor()
    await expectAccessible(suite.page, 'a held run')
  })
})

describe('an alert', () => {
  it('is set up by a form, which tells what is missing at its field', async () => {
    await suite.page.goto(`${suite.served.url}/alerts`)
    await suite.page.getByRole('link', { name: 'New alert' }).click()
    const save = suite.page.getByRole('button', { name: 'Save', exact: true })
    await save.click()
    await suite.page.getByText('Paste the URL that Slack shows.').waitFor()
    await suite.page.getByLabel('Target').selectOption('webhook')
    await suite.page.getByLabel('Address').fill('https://alerts.example.com/told')
    await suite.page.getByText('Make a secret, or type one.').waitFor()
    await expectAccessible(suite.page, 'the form of an alert')
    await suite.page.getByRole('button', { name: 'Make a secret' }).click()
    const made = suite.page.getByText(/^whsec_/)
    expect((await made.innerText()).length).toBe('whsec_'.length + 44)
    await save.click()
    await suite.page.getByRole('heading', { name: 'on-call' }).waitFor()
    await suite.page.getByRole('link', { name: 'Edit on-call' }).waitFor()
    expect(await suite.page.getByText('whsec_').count()).toBe(0)
  })

  it('goes to Slack or by mail, with its credentials in the vault', async () => {
    const { page } = suite
    await page.getByRole('link', { name: 'Edit on-call' }).click()
    await page.getByLabel('Target').selectOption('slack')
    await page.getByLabel('Incoming webhook').fill('https://hooks.slack.com/services/T0/B0/hush')
    await page.keyboard.press('Enter')
    await page.getByText('on-call-slack').waitFor()
    await page.getByRole('button', { name: 'Show the YAML' }).click()
    const yaml = page.locator('[data-label="The alert as YAML"] .cm-content')
    await yaml.getByText('https://hooks.slack.com/services/${secret:on-call-slack}').waitFor()
    await page.getByLabel('Target').selectOption('email')
    const fields = { 'Mail server': 'mail.example.com', User: 'me', Password: 'hush', From: 'me@example.com' }
    for (const [name, value] of Object.entries(fields))
      await page.getByLabel(name, { exact: true }).fill(value)
    await page.getByLabel('To', { exact: true }).fill('a@example.com, b@example.com')
    await yaml.getByText('smtps://me:${secret:on-call-smtp}@mail.example.com').waitFor()
    await page.getByRole('checkbox', { name: 'A run takes too long' }).check()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('notifies email a@example.com, b@example.com').waitFor()
  })
})

describe('what is not there', () => {
  it('is said with a way out', async () => {
    await suite.page.goto(`${suite.served.url}/syncs/nobody`)
    await suite.page.getByText('There is no sync nobody.').waitFor()
    await suite.page.getByRole('link', { name: 'To the overview' }).click()
    await suite.page.getByRole('heading', { name: 'Overview' }).waitFor()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

/** Messages, titles and roles as a person in a browser meets them. */
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const TOKEN = 'a-token-that-may-do-all'
const READ_TOKEN = 'a-token-that-may-only-read'
/** Written from right to left. */
const TITLE = 'לקוחות (1)'

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({
      destination: `headers: { Authorization: 'Bearer \${secret:api-key}' }`,
      triggers: `
  added: { method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name }}}' } }`,
    }).replace('kind: sync\n', `kind: sync\ntitle: ${TITLE}\n`),
    'crm.yaml': `kind: destination\nname: crm\nbaseUrl: \${API_URL}\nauth: { bearer: '\${secret:crm-token}' }
---\nkind: destination\nname: mail\nbaseUrl: \${API_URL}\nauth: { bearer: '\${secret:never-set}' }\n`,
    'people.csv': 'id,name\n1,Ann\n',
  },
  env: { SLUICE_TOKEN: TOKEN, SLUICE_READ_TOKEN: READ_TOKEN, SLUICE_SECRET_CRM_TOKEN: 'of-the-server' },
  prepare: async ({ page, served }) => {
    await page.goto(served.url)
    await signIn(page, TOKEN)
  },
})

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

describe('a secret that is missing', () => {
  it('is set by the link in the message of the refused run, and listed in the audit', async () => {
    const { page } = suite
    await page.getByRole('button', { name: 'Run people now' }).click()
    const refused = page.locator('.toast')
    await refused.getByText('The secret').waitFor()
    expect(await refused.innerText()).not.toContain('`')
    await refused.getByRole('link', { name: '“Set the secret api-key”' }).click()
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    expect(await dialog.getByLabel('Name').inputValue()).toBe('api-key')
    await dialog.getByLabel('Value').fill('a-value-that-nobody-sees')
    // The destination that names it is the API of this test.
    await expect
      .poll(() => dialog.getByLabel('Hosts that it may go to').inputValue())
      .toBe(new URL(suite.api.url).host)
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.getByRole('row', { name: /operator.* set the secret api-key/ }).waitFor()
  })
})

describe('a destination whose secret is missing', () => {
  it('has a button that sets it, for the host of the destination', async () => {
    const { api, page, served } = suite
    await page.goto(`${served.url}/resources/destination/mail`)
    await page.getByRole('button', { name: 'Set never-set…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    expect(await dialog.getByLabel('Name').inputValue()).toBe('never-set')
    const hosts = dialog.getByLabel('Hosts that it may go to')
    await expect.poll(() => hosts.inputValue()).toBe(new URL(api.url).host)
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await dialog.waitFor({ state: 'detached' })
  })
})

describe('the page of secrets', () => {
  it('lists what the environment sets, and says so before the vault takes another value', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/secrets`)
    const line = page.getByRole('row').filter({ hasText: 'crm-token' })
    await line.getByText('SLUICE_SECRET_CRM_TOKEN').waitFor()
    await line.getByRole('link', { name: 'crm' }).waitFor()
    await page.getByRole('row').filter({ hasText: 'api-key' }).getByText('the vault').waitFor()
    await page.getByRole('row').filter({ hasText: 'never-set' }).getByText('not set').waitFor()
    await expectAccessibleInAllColours(page, 'secrets of the vault and of the server')
    const said = 'SLUICE_SECRET_CRM_TOKEN of the server goes before the vault. Change it there.'
    await page.goto(`${served.url}/secrets?set=crm-token`)
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    await dialog.getByText(said).waitFor()
    await expect.poll(() => page.evaluate('document.activeElement?.type')).toBe('password')
    await dialog.getByLabel('Value').fill('a-value-that-nobody-uses')
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.locator('.toast', { hasText: said }).waitFor()
  })
})

describe('a title', () => {
  it('stands with its name wherever the sync is listed, and turns no words around it', async () => {
    const { page, served } = suite
    for (const path of ['/', '/resources']) {
      await page.goto(`${served.url}${path}`)
      await page.locator('bdi', { hasText: TITLE }).first().waitFor()
    }
    await page.goto(`${served.url}/syncs/people`)
    await page.getByRole('heading', { level: 1, name: TITLE }).waitFor()
    await page.locator('.lead code', { hasText: 'people' }).waitFor()
  })
})

describe('a person who may only look', () => {
  it('finds each button off that the server would refuse, with the reason', async () => {
    const page = await suite.browser.open()
    await page.goto(suite.served.url)
    await signIn(page, READ_TOKEN)
    const off = async (name: string | RegExp) => {
      const button = page.getByRole('button', { name }).first()
      await button.waitFor()
      expect(await button.isDisabled(), String(name)).toBe(true)
      expect(await button.getAttribute('title')).toMatch(/^You may not/)
    }
    await off('New sync')
    await off('Run people now')
    await page.keyboard.press('n')
    expect(new URL(page.url()).pathname).toBe('/')
    for (const [path, names] of [
      ['/syncs/people', ['Edit', 'Resync…', 'Reset…']],
      ['/resources/destination/api', ['Remove…']],
      ['/secrets', ['Set a secret', 'Remove api-key']],
      ['/alerts', ['New alert']],
    ] as const) {
      await page.goto(`${suite.served.url}${path}`)
      for (const name of names) await off(name)
    }
    await page.context().close()
  })
})

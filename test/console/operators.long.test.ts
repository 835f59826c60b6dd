/** Operators find on a server's pages who has a token, and whether it is ready. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible, servedConsole, type ServedConsole } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const TOKEN = 'a-token-that-may-do-all'
const ANNS = 'a-token-of-anns-own-0123'
const files = { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n' }

const suite = consoleSuite({ files })
let guarded: ServedConsole
beforeAll(async () => {
  const tokens = { SLUICE_TOKEN: TOKEN, SLUICE_TOKENS: `ann view,run ${ANNS}` }
  guarded = await servedConsole({ files, env: { API_URL: suite.api.url, ...tokens } })
})
afterAll(() => guarded[Symbol.asyncDispose]())

async function signedIn(token: string, path: string): Promise<Page> {
  const page = await suite.browser.open()
  await page.goto(`${guarded.url}${path}`)
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1 }).waitFor()
  return page
}

describe('the tokens', () => {
  it('are told with what each may do, and never shown', async () => {
    const page = await signedIn(TOKEN, '/tokens')
    const row = (name: string) => page.getByRole('row', { name })
    await row('operator').getByText('everything').waitFor()
    await row('operator').locator('time').waitFor()
    await row('ann').getByText('view, run').waitFor()
    await row('ann').getByText('SLUICE_TOKENS', { exact: true }).waitFor()
    await row('ann').getByText('not yet').waitFor()
    await expectAccessible(page, 'the tokens')
    for (const token of [TOKEN, ANNS]) expect(await page.content()).not.toContain(token)
    await page.context().close()
  })

  it('are made and revoked by a person, counted at once, and stand in the audit', async () => {
    const page = await signedIn(TOKEN, '/tokens')
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.getByRole('button', { name: 'Make a token' }).click()
    const making = page.getByRole('dialog', { name: 'Make a token' })
    await making.getByLabel('Name').fill('ci')
    await making.getByLabel('run start and end runs').check()
    // The settings of this server know one author.
    expect(await making.getByLabel('edit write sources').isDisabled()).toBe(true)
    await expectAccessible(page, 'a token to be made')
    await making.getByRole('button', { name: 'Make it' }).click()
    const shown = page.getByRole('dialog', { name: 'The token ci' })
    const token = await shown.getByLabel('The token').innerText()
    await shown.getByRole('button', { name: 'Copy' }).click()
    await expect.poll(() => page.evaluate('navigator.clipboard.readText()')).toBe(token)
    await expectAccessible(page, 'a token that was made')
    await shown.getByRole('button', { name: 'Done' }).click()
    const row = page.getByRole('row', { name: 'ci' })
    await row.getByText('made by operator').waitFor()
    expect(await page.content()).not.toContain(token)
    const status = async (): Promise<number> =>
      (await fetch(`${guarded.url}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } })).status
    expect(await status()).toBe(200)
    expect(await page.getByRole('button', { name: 'Revoke ann' }).count()).toBe(0)
    await row.getByRole('button', { name: 'Revoke ci' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke it' }).click()
    await expect.poll(() => row.count()).toBe(0)
    expect(await status()).toBe(401)
    await page.goto(`${guarded.url}/audit?name=ci`)
    await page.getByText('revoked the token ci').waitFor()
    await page.getByText('made the token ci').waitFor()
    await page.context().close()
  })

  it('are not told to those who may not set secrets', async () => {
    const page = await signedIn(ANNS, '/tokens')
    await page.getByText('You may not see who has a token.').waitFor()
    expect(await page.getByText('operator', { exact: true }).count()).toBe(0)
    expect(await page.getByRole('table').count()).toBe(0)
    const status = await page.evaluate(`fetch('/api/v1/tokens').then(({ status }) => status)`)
    expect(status).toBe(403)
    await page.context().close()
  })

  it('are taught of where there are none', async () => {
    const { page, served } = suite
    await page.goto(served.url)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('t')
    await page.getByText('This server asks nobody for a token.').waitFor()
    await page.getByText('openssl rand -hex 16').waitFor()
    await expectAccessible(page, 'a server without tokens')
  })
})

describe('whether a server is ready', () => {
  const readiness = () => suite.page.getByRole('region', { name: 'Readiness' })

  it('is told check by check, with since when', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/system`)
    const check = readiness().getByRole('listitem').filter({ hasText: 'Takes new work' })
    await check.locator('.badge', { hasText: 'ok' }).waitFor()
    await check.locator('time').waitFor()
    expect(await readiness().innerText()).not.toContain('{')
  })

  it('says what is waited for', async () => {
    const { page, served } = suite
    const since = '2026-11-27T09:14:02.511Z'
    const checks = {
      running: { ok: true, since },
      work: { ok: false, detail: 'Redis does not answer', since },
    }
    const body = JSON.stringify({ status: 'unavailable', checks })
    await page.route('**/readyz', route =>
      route.fulfill({ status: 503, contentType: 'application/json', body }),
    )
    await page.goto(`${served.url}/system`)
    await readiness().getByText('not ready').waitFor()
    const check = readiness().getByRole('listitem').filter({ hasText: 'Redis does not answer' })
    await check.locator('.badge', { hasText: 'waits' }).waitFor()
    expect(await check.locator('time').getAttribute('title')).toContain('2026-11-27 09:14:02 UTC')
    await expectAccessible(page, 'a server that is not ready')
    await page.unroute('**/readyz')
  })
})

describe('a message that names a command', () => {
  it('leads to the page that does the same', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/runs/01JD3XKQ7M8N9P0QRSTVWXYZ12`)
    const alert = page.getByRole('alert')
    await alert.getByText('There is no run').waitFor()
    expect(await alert.innerText()).not.toContain('sluice')
    await alert.getByRole('link', { name: 'the page Runs' }).click()
    await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

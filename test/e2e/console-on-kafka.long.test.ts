/** A console on Kafka in a real browser: somebody signs in, and sees how the server and its services are. */
import { auditPage, tokenMadeView } from '@sluice/contracts/api/operating'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectAccessible, startBrowser, type Looking } from '../console/console-page.ts'
import { realServices, startDistributed, type Distributed } from './distributed.ts'

const TOKEN = 'a-token-that-may-do-all'
const ENV = { SLUICE_TOKEN: TOKEN, SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') }

describe.skipIf(realServices() === null)('a console on Kafka', () => {
  let services: Distributed
  let browser: Looking
  let page: Page
  let url = ''
  beforeAll(async () => {
    services = await startDistributed()
    url = (await services.add('console', ENV)).url
    browser = await startBrowser()
    page = await browser.open()
  })
  afterAll(async () => {
    await browser[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
  })

  const signIn = async (token: string): Promise<void> => {
    await page.getByLabel('Token', { exact: true }).fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  it('lets in whoever has a token, and keeps them in by a cookie that no script reads', async () => {
    await page.goto(`${url}/system`)
    await page.getByRole('heading', { name: 'Sign in to Sluice' }).waitFor()
    await signIn('not-a-token-of-this-server')
    await page.getByRole('alert').waitFor()
    await signIn(TOKEN)
    await page.getByRole('heading', { name: 'System', level: 1 }).waitFor()
    const cookies = await page.context().cookies()
    expect(cookies).not.toEqual([])
    for (const cookie of cookies) expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' })
    await page.reload()
    await page.getByRole('heading', { name: 'System', level: 1 }).waitFor()
  })

  it('shows Kafka, registry and Redis, the processes at work and their partitions', async () => {
    await page.getByText('distributed: on Kafka').waitFor()
    const health = page.getByRole('region', { name: 'Health' })
    for (const checked of [/kafka/i, /registry/i, /redis/i]) await health.getByText(checked).first().waitFor()
    const partitions = page.getByRole('region', { name: 'Partitions' }).first()
    await partitions.getByRole('cell', { name: 'change-detector', exact: true }).waitFor()
    const processes = page.getByRole('region', { name: 'Processes' }).first()
    await processes.locator('tbody tr').first().waitFor()
    await expectAccessible(page, 'the health of a server on Kafka')
  })

  it('takes a token that another console has made, until any of them revokes it', async () => {
    const other = (await services.add('console', ENV)).url
    const ask = (at: string, method: string, path: string, token = TOKEN) =>
      fetch(`${at}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        },
        body: method === 'POST' ? JSON.stringify({ roles: ['view'] }) : null,
      })
    const made = await ask(url, 'POST', '/tokens/ci')
    const { token } = tokenMadeView.parse(await made.json())
    const statusAt = async (at: string): Promise<number> => (await ask(at, 'GET', '/runs', token)).status
    expect(await statusAt(url)).toBe(200)
    await expect.poll(() => statusAt(other)).toBe(200)
    expect((await ask(other, 'DELETE', '/tokens/ci')).status).toBe(200)
    expect(await statusAt(other)).toBe(401)
    // A wrong token waits a second for its answer.
    await expect.poll(() => statusAt(url), { timeout: 20_000 }).toBe(401)
    const audit = auditPage.parse(await (await ask(url, 'GET', '/audit?name=ci')).json())
    expect(audit.entries.map(({ action, kind, by }) => [action, kind, by])).toEqual([
      ['remove', 'token', 'operator'],
      ['set', 'token', 'operator'],
    ])
  })

  it('lets nobody look who has signed out', async () => {
    await page.getByRole('button', { name: /^Sign out/ }).click()
    await page.getByRole('heading', { name: 'Sign in to Sluice' }).waitFor()
    expect((await page.request.get(`${url}/api/v1/health`)).status()).toBe(401)
    expect(browser.complaints).toEqual([])
  })
})

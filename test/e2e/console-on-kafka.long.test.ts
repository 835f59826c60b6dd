/** A console on Kafka in a real browser: somebody signs in, and sees how the server and its services are. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectAccessible, startBrowser, type Looking } from '../console/console-page.ts'
import { realServices, startDistributed, type Distributed } from './distributed.ts'

const TOKEN = 'a-token-that-may-do-all'

describe.skipIf(realServices() === null)('a console on Kafka', () => {
  let services: Distributed
  let browser: Looking
  let page: Page
  let url = ''
  beforeAll(async () => {
    services = await startDistributed()
    url = (await services.add('console', { SLUICE_TOKEN: TOKEN })).url
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

  it('lets nobody look who has signed out', async () => {
    await page.getByRole('button', { name: /^Sign out/ }).click()
    await page.getByRole('heading', { name: 'Sign in to Sluice' }).waitFor()
    expect((await page.request.get(`${url}/api/v1/health`)).status()).toBe(401)
    expect(browser.complaints).toEqual([])
  })
})

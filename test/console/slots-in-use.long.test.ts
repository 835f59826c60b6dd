/** While a run sends, the overview tells how many requests are under way beside the concurrency limit. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { destinationsPage } from '@sluice/contracts/api/operating'
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const UNDER_WAY = 37
const CONCURRENCY = 50
const TOLD = `${UNDER_WAY} of ${CONCURRENCY} at once now`
const pictures = process.env['SLUICE_TEST_PICTURES']

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({
      destination: `limits: { concurrency: ${CONCURRENCY} }`,
      // The API holds the requests until all pages have been looked at.
      sync: 'timeout: 10m',
    }),
    'people.csv': peopleCsv(...Array.from({ length: UNDER_WAY }, (_, id) => `${id},Ann`)),
  },
})

const inUse = async (): Promise<unknown> => {
  const answer = await fetch(`${suite.served.url}/api/v1/destinations`)
  const { destinations } = destinationsPage.parse(await answer.json())
  return destinations.map(({ name, concurrency }) => ({ name, concurrency }))
}

it(
  'is told beside the limit, wide and narrow, and not once all are answered',
  { timeout: 240_000 },
  async () => {
    const { api, browser, served } = suite
    const gate = Promise.withResolvers<object>()
    api.on({}, () => gate.promise)
    const page = await browser.open()
    await page.goto(served.url)
    const line = page.getByRole('region', { name: 'Destinations' })
    await line.getByText(`1,000 requests per second, ${CONCURRENCY} at once`).waitFor()
    expect(await line.getByText('at once now').count()).toBe(0)
    expect(await inUse()).toMatchObject([{ name: 'api', concurrency: { limit: CONCURRENCY, inUse: 0 } }])
    const asked = await fetch(`${served.url}/api/v1/syncs/${SYNC}/runs`, {
      ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
    })
    expect(asked.status).toBe(202)
    await api.waitFor(UNDER_WAY)
    const held = [{ name: 'api', concurrency: { limit: CONCURRENCY, inUse: UNDER_WAY } }]
    await expect.poll(inUse).toMatchObject(held)
    await line.getByText(TOLD, { exact: true }).waitFor({ timeout: 30_000 })
    await expectAccessible(page, 'the overview while requests are under way')
    for (const width of [1280, 375])
      for (const colours of ['light', 'dark'] as const) {
        const other = await browser.open({ width, colours })
        await other.goto(served.url)
        const told = other.getByRole('region', { name: 'Destinations' }).getByText(TOLD, { exact: true })
        await told.waitFor({ timeout: 30_000 })
        const { x, width: wide } = (await told.boundingBox()) ?? { x: -1, width: 0 }
        expect([x >= 0, x + wide <= width], `${width} ${colours}`).toEqual([true, true])
        await expectAccessible(other, `the overview at ${width}, ${colours}`)
        if (pictures !== undefined) {
          await mkdir(pictures, { recursive: true })
          await other.screenshot({ path: join(pictures, `slots-${width}-${colours}.png`), fullPage: true })
        }
        await other.context().close()
      }
    gate.resolve({})
    await line.getByText('at once now').waitFor({ state: 'detached', timeout: 60_000 })
    await expect.poll(inUse).toMatchObject([{ name: 'api', concurrency: { limit: CONCURRENCY, inUse: 0 } }])
    expect(browser.complaints).toEqual([])
  },
)

/** While a run sends, the overview tells how much of its destination's rate is in use. */
import { expect, it } from 'vitest'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const PER_SECOND = 20
const PEOPLE = 20 * PER_SECOND
const limits = `limits: { rate: { requests: ${PER_SECOND}, per: second }, concurrency: 5 }`

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({ destination: limits }),
    'people.csv': peopleCsv(...Array.from({ length: PEOPLE }, (_, id) => `${id},Ann`)),
  },
})

it(
  'is told beside the limit, second by second, and not once the run is over',
  { timeout: 90_000 },
  async () => {
    const page = await suite.browser.open()
    await page.goto(suite.served.url)
    const line = page.getByRole('region', { name: 'Destinations' })
    await line.getByText(`${PER_SECOND} requests per second, 5 at once`).waitFor()
    const inUse = line.getByText(/^\d+ a second now$/)
    expect(await inUse.count()).toBe(0)
    const asked = await fetch(`${suite.served.url}/api/v1/syncs/${SYNC}/runs`, {
      ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
    })
    expect(asked.status).toBe(202)
    await inUse.waitFor({ timeout: 30_000 })
    const told = Number.parseInt(await inUse.innerText(), 10)
    expect(told).toBeGreaterThan(0)
    // A window of any second holds no more than the limit. One by the clock holds no more than two of them.
    expect(told).toBeLessThanOrEqual(2 * PER_SECOND)
    await expectAccessible(page, 'the overview while a run sends')
    await inUse.waitFor({ state: 'detached', timeout: 60_000 })
  },
)

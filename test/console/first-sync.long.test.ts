/** A first sync on a server that has no resource of any kind, whose first run does not begin at once. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { consoleSuite } from './console-suite.ts'

const suite = consoleSuite({ files: { 'customers.csv': 'id,name\n1,Ann\n2,Bob\n' } })

const page = () => suite.page
const step = (name: string) => page().getByRole('navigation', { name: 'Steps' }).getByRole('button', { name })
const REFUSED = 'No change-detector answers.'

async function stored(): Promise<readonly string[]> {
  const answer: unknown = await (await fetch(`${suite.served.url}/api/v1/resources`)).json()
  const shape = z.object({
    resources: z.array(z.object({ kind: z.string(), name: z.string(), version: z.number() })),
  })
  return shape
    .parse(answer)
    .resources.map(({ kind, name, version }) => `${kind} ${name} ${version}`)
    .sort()
}

describe('a first sync', () => {
  it('offers nothing to be used again, and names all that it makes', async () => {
    expect(await stored()).toEqual([])
    await page().goto(`${suite.served.url}/new?step=destination`)
    await page().getByLabel('Address of the API').fill(suite.api.url)
    for (const each of ['Source', 'Model', 'Destination']) {
      await step(each).click()
      await page().getByLabel('Name', { exact: true }).waitFor()
      expect(
        await page()
          .getByLabel(/^Use this/)
          .count(),
      ).toBe(0)
    }
    await step('Model').click()
    await page().getByRole('button', { name: 'customers.csv' }).click()
    await step('Review').click()
    await page().getByText('2 rows will count as added').waitFor()
    expect(await page().locator('summary').allInnerTexts()).toEqual([
      'New source files',
      'New model customers',
      'New destination api',
      'New sync customers',
    ])
  })

  it('is saved though its run does not begin, and is no new one from then on', async () => {
    const problem = {
      ...{ type: 'about:blank', title: 'Unavailable', status: 503, detail: REFUSED },
      ...{ code: 'unreachable', retryable: true, errors: [] },
    }
    await page().route('**/api/v1/syncs/customers/runs', route =>
      route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) }),
    )
    await page().getByRole('button', { name: 'Save and run' }).click()
    await page().getByRole('heading', { name: 'customers', level: 1 }).waitFor()
    await page().getByText(`customers is saved, and no run of it has begun: ${REFUSED}`).waitFor()
    expect(await stored()).toEqual([
      'destination api 1',
      'model customers 1',
      'source files 1',
      'sync customers 1',
    ])
    await page().unroute('**/api/v1/syncs/customers/runs')
  })

  it('is run from there, and delivers its rows', async () => {
    await page().getByRole('button', { name: 'Run customers now' }).click()
    await page().getByRole('heading', { name: 'Run of customers' }).waitFor()
    await page().getByText('success').first().waitFor()
    const bodies = suite.api.requests.map(({ body }): unknown => JSON.parse(String(body)))
    expect(bodies).toEqual(
      expect.arrayContaining([
        { id: 1, name: 'Ann' },
        { id: 2, name: 'Bob' },
      ]),
    )
    expect(bodies).toHaveLength(2)
  })

  it('leaves no draft: the next new one starts afresh beside it', async () => {
    await page().goto(`${suite.served.url}/new?step=behaviour`)
    await page().getByLabel('Name of the sync').waitFor()
    await expect.poll(() => page().getByLabel('Name of the sync').inputValue()).toBe('customers-2')
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

/** Failed rows are decided about by their reason, runs are compared, and pages show where rows go. */
import type { Locator, Page } from 'playwright-core'
import { failedPage, runView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { peopleCsv, peopleYaml } from '../e2e/people-project.ts'
import { consoleSuite } from './console-suite.ts'

const FORMULA = '=HYPERLINK("http://evil.test")'
const triggers = (path: string): string =>
  `\n  added: { method: PUT, path: '${path}/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }`
const MOVED = `kind: sync\nname: people\nmodel: people\ndestination: api\ntriggers: ${triggers('/persons')}\n`

const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({ triggers: triggers('/people') }),
    'people.csv': peopleCsv(`1,"${FORMULA.replaceAll('"', '""')}"`, '2,Bob', '3,Cy', '4,Dee'),
  },
})

const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const group = (page: Page, error: string): Locator =>
  section(page, 'Failed rows').getByRole('listitem').filter({ hasText: error })

async function ran(): Promise<string> {
  const answer = await fetch(`${suite.served.url}/api/v1/syncs/people/runs`, { method: 'POST' })
  const { id } = runView.parse(await answer.json())
  await (await fetch(`${suite.served.url}/api/v1/runs/${id}/events`)).text()
  return id
}

async function waiting(): Promise<readonly string[]> {
  const answer = await fetch(`${suite.served.url}/api/v1/syncs/people/failed`)
  return failedPage.parse(await answer.json()).rows.map(({ key }) => key)
}

/** The API has no e-mail of 1 and 2, and breaks at 3. */
function breakApi(): void {
  const rejected = { status: 422, body: '{"message":"no e-mail"}' }
  for (const id of [1, 2]) suite.api.on({ url: `/people/${id}` }, rejected)
  suite.api.on({ url: '/people/3' }, { status: 500, body: '{"message":"broken"}' })
}

describe('the rows of one reason', () => {
  it('are exported, and discarded apart from the others', async () => {
    const { page, served } = suite
    breakApi()
    const run = await ran()
    await page.goto(`${served.url}/runs/${run}`)
    const emails = group(page, 'no e-mail')
    const href = await emails.getByRole('link', { name: /^Export as CSV/ }).getAttribute('href')
    const file = await fetch(new URL(href ?? '', served.url))
    expect(file.headers.get('content-disposition')).toMatch(
      new RegExp(`^attachment; filename="people-failed-${run}-[0-9a-f]{12}[.]\\d{13}-1[.]csv"$`),
    )
    const [head, ...lines] = (await file.text()).trim().split('\r\n')
    expect(head).toBe('key,op,outcome,status,error,attempts,runs,since,row.id,row.name,other columns')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(
      /^1,added,rejected,422,.*no e-mail.*,"'=HYPERLINK\(""http:\/\/evil[.]test""\)",$/,
    )
    const json = await fetch(new URL(href?.replace('format=csv', 'format=json') ?? '', served.url))
    expect(await json.json()).toMatchObject([{ key: '1', row: { name: FORMULA } }, { key: '2' }])

    await emails.getByRole('button', { name: /^Discard these…/ }).click()
    const dialog = page.getByRole('dialog', { name: 'Discard 2 rows?' })
    await dialog.getByText('They will not be sent unless they change').waitFor()
    // A run meanwhile tries the rows again, and another row fails for the same reason.
    suite.api.on({ url: '/people/5' }, { status: 422, body: '{"message":"no e-mail"}' })
    await served.project.write('people.csv', peopleCsv('1,Ann', '2,Bob', '3,Cy', '4,Dee', '5,Eve'))
    await ran()
    await dialog.getByRole('button', { name: 'Discard' }).click()
    await dialog.waitFor({ state: 'detached' })
    await expect.poll(waiting, { timeout: 30_000 }).toEqual(['3', '5'])
    suite.api.on({ url: '/people/5' }, { status: 200 })
    suite.api.on({ url: '/people/3' }, { status: 200 })
    await page.goto(`${served.url}/syncs/people`)
    await group(page, 'broken')
      .getByRole('button', { name: /^Retry these…/ })
      .click()
    await page.getByRole('dialog', { name: 'Retry 1 row?' }).getByRole('button', { name: 'Retry' }).click()
    await page.waitForURL(/\/runs\/[0-9A-Z]{26}$/)
    await expect.poll(waiting, { timeout: 30_000 }).toEqual(['5'])
  })
})

describe('two runs of a sync', () => {
  it('are compared by ticks, with the lines of the documents that differ, at an address that stays', async () => {
    const { page, served } = suite
    const before = await ran()
    const document = await fetch(`${served.url}/api/v1/resources/sync/people`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ yaml: MOVED, takeOver: true }),
    })
    expect(document.status).toBe(200)
    const after = await ran()
    await page.goto(`${served.url}/runs?sync=people`)
    for (const id of [before, after]) await page.getByRole('checkbox', { name: `Compare run ${id}` }).check()
    await page.getByRole('link', { name: 'Compare these two runs' }).click()
    await page.waitForURL(`**/runs/compare?before=${before}&after=${after}`)
    const lines = page.getByRole('region', { name: 'Lines of the sync that differ' })
    await lines.getByText('+ ', { exact: false }).first().waitFor()
    expect(await lines.innerText()).toMatch(/^- .*\/people\/[^]*^\+ .*\/persons\//m)
    await page.reload()
    await section(page, 'Before').getByText(before).waitFor()
    await section(page, 'After').getByText(after).waitFor()

    await page.goto(`${served.url}/runs/${after}`)
    await page.getByRole('link', { name: 'Compare with the run before' }).click()
    await page.waitForURL(`**/runs/compare?before=${before}&after=${after}`)
  })
})

it('pages show from where rows come and where they go, each with the last run of its syncs', async () => {
  const { page, served } = suite
  const named = async (path: string): Promise<readonly string[]> => {
    await page.goto(`${served.url}${path}`)
    const lineage = page.getByRole('navigation', { name: 'Lineage' })
    await lineage.getByRole('link', { name: /^Last run/ }).waitFor()
    return await lineage.locator('.lineage-box > a').allInnerTexts()
  }
  for (const path of [
    '/syncs/people',
    ...['source/files', 'model/people', 'destination/api'].map(p => `/resources/${p}`),
  ])
    expect(await named(path), path).toEqual(['files', 'people', 'people', 'api'])
})

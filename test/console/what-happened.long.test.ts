/** The pages of a run, a request and a row, whatever stands in them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite, editorOf } from './console-suite.ts'

const SECRET = 'not-to-be-seen-0123456789'
/** A value may try this on a page. */
const HOSTILE = `<img src=x onerror="globalThis.owned=1"><script>globalThis.owned=1</script>`
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
const PEOPLE = `id,name\n1,Ann\n2,Bob\n${quoted(HOSTILE)},${quoted(HOSTILE)}\n`

const ADDED = `
  added:
    method: PUT
    path: '/people/{{ id }}'
    headers: { X-Note: ${JSON.stringify(HOSTILE)} }
    capture: { nick: $.nick }
    body:
      json: '{"name":{{ row.name | json }},"note":"<img src=x onerror=1>"}'
  changed: added
  removed: { method: DELETE, path: '/people/{{ id }}' }`

let run = ''
const suite = consoleSuite({
  files: {
    'project.yaml': peopleYaml({
      sql: `select id, name from 'people.csv' /* ${HOSTILE} */`,
      destination: `headers: { Authorization: 'Bearer \${secret:api-key}' }`,
      triggers: ADDED,
    }).replace('kind: sync\n', `kind: sync\ntitle: ${JSON.stringify(HOSTILE)}\n`),
    'people.csv': PEOPLE,
  },
  env: { SLUICE_SECRET_API_KEY: SECRET },
  prepare: async ({ api, served: { project } }) => {
    const headers = { 'content-type': 'text/html', 'x-answer': HOSTILE }
    api.on({ url: '/people/1' }, { body: '{"nick":"annie"}' })
    api.on({ url: '/people/2' }, { status: 422, headers, body: JSON.stringify({ error: HOSTILE }) })
    await project.sluice('run', 'people')
    run = (await project.runs())[0]?.id ?? ''
  },
})

/** Expects that no text has become a part of the page, in the shadow tree of an editor either. */
async function expectUnowned(page: Page): Promise<void> {
  const images = page.locator('img:not([src="/icon.svg"])')
  expect(await images.count()).toBe(0)
  expect(await page.evaluate('globalThis.owned')).toBeUndefined()
}

const fact = (page: Page, name: string) =>
  page
    .locator('.facts > div')
    .filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')

describe('text that is meant to be run', () => {
  const steps = ['source', 'model', 'destination', 'requests', 'behaviour', 'review']
  const row = `/syncs/people/row?key=${encodeURIComponent(HOSTILE)}`
  it.each([
    ...['/', '/runs', '/syncs/people', '/requests', '/resources', '/audit', row],
    ...['source/files', 'model/people', 'destination/api', 'sync/people'].map(of => `/resources/${of}`),
    ...steps.map(step => `/syncs/people/edit?step=${step}`),
    `/requests?key=${encodeURIComponent(HOSTILE)}`,
    '/requests?status=422',
  ])('stays text on %s', async path => {
    const { page, served } = suite
    await page.goto(`${served.url}${path}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await expect.poll(() => page.locator('.loading').count(), { timeout: 20_000 }).toBe(0)
    if (path.startsWith('/requests')) await page.locator('.request-line').first().click()
    if (path.endsWith('step=requests')) await editorOf(page, 'JSON template').waitFor()
    if (path.endsWith('step=model')) await page.getByRole('cell', { name: '<img' }).first().waitFor()
    await page.waitForLoadState('networkidle')
    await expectUnowned(page)
  })

  it('is of the run, too', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/runs/${run}`)
    await page.getByText('<img src=x').first().waitFor()
    await expectUnowned(page)
  })
})

describe('a row', () => {
  it('tells its state at the destination, the last delivered row, since when that is certain, and what was captured', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/syncs/people/row?key=1`)
    await fact(page, 'State').getByText('delivered').waitFor()
    await page.getByRole('heading', { name: 'Last delivered row' }).waitFor()
    // Only doubt is told.
    expect(await fact(page, 'Certain').count()).toBe(0)
    expect(await fact(page, 'Since').locator('time').getAttribute('title')).toMatch(/ · .* UTC$/)
    expect(await fact(page, 'captured.nick').innerText()).toBe('"annie"')
  })

  it('shows each change as what was there before, and what is there now', async () => {
    const { page, served } = suite
    await served.project.write('people.csv', PEOPLE.replace('1,Ann', '1,Anna'))
    await served.project.sluice('run', 'people')
    await page.goto(`${served.url}/syncs/people/row?key=1`)
    await page.locator('.diff [data-sign="-"]', { hasText: 'Ann' }).first().waitFor()
    await page.locator('.diff [data-sign="+"]', { hasText: 'Anna' }).first().waitFor()
  })

  it('says that it waits for a retry, and that somebody has discarded it', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/syncs/people/row?key=2`)
    await fact(page, 'Waits for a retry')
      .getByText(/^yes, after \d runs and/)
      .waitFor()
    await page.getByRole('button', { name: 'Discard…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click()
    await page.getByText('success').first().waitFor()
    await page.goto(`${served.url}/syncs/people/row?key=2`)
    await fact(page, 'Discarded').getByText('yes').waitFor()
    await expectAccessible(page, 'a row that was discarded')
  })
})

describe('times', () => {
  it.each([
    ['Asia/Tokyo', 9],
    ['America/New_York', -5],
  ])('are those of %s for a reader there, with UTC beside them', async (timeZone, hours) => {
    const page = await suite.browser.open({ timeZone })
    await page.goto(`${suite.served.url}/runs/${run}`)
    const time = page.locator('main time').first()
    await time.waitFor()
    const [local = '', utc = ''] = ((await time.getAttribute('title')) ?? '').split(' · ')
    const at = new Date((await time.getAttribute('datetime')) ?? '')
    expect(utc).toBe(`${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`)
    const there = new Date(at.getTime() + hours * 3_600_000).toISOString()
    // New York has its summer, too.
    const clocks = [there, new Date(Date.parse(there) + 3_600_000).toISOString()].map(iso =>
      iso.slice(11, 19),
    )
    expect(timeZone === 'Asia/Tokyo' ? clocks.slice(0, 1) : clocks).toContain(local.slice(-8))
    await page.context().close()
  })
})

describe('a request', () => {
  it('is copied as a command for a shell, without its secrets', async () => {
    const { browser, served } = suite
    const page = await browser.open()
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.goto(`${served.url}/requests?status=422`)
    await page.getByRole('button', { name: /422/ }).first().click()
    await page.getByRole('button', { name: 'Copy as curl' }).click()
    await page.getByText('Copied.').waitFor()
    const copied = String(await page.evaluate('navigator.clipboard.readText()'))
    expect(copied).toMatch(/^curl -X PUT 'http:\/\/127\.0\.0\.1:\d+\/people\/2'/)
    expect(copied).toMatch(/authorization: /i)
    expect(copied).not.toContain(SECRET)
    expect(await page.content()).not.toContain(SECRET)
    await page.context().close()
  })
})

describe('a run', () => {
  it('leads to its sync', async () => {
    const { page, served } = suite
    await page.goto(`${served.url}/runs/${run}`)
    await page.locator('main').getByRole('link', { name: 'The sync', exact: true }).click()
    await page.waitForURL('**/syncs/people')
    await page.getByRole('heading', { name: 'What happened to a row?' }).waitFor()
  })

  it('says what it goes through with times, and draws how fast it is, while it goes on', async () => {
    const { page, served, api } = suite
    const rows = Array.from({ length: 60 }, (_, index) => `${index + 10},name ${index}\n`)
    await served.project.write('people.csv', `${PEOPLE}${rows.join('')}`)
    // As slow as an API may be, so that there is something to watch.
    api.on({}, async () => {
      await sleep(400)
      return {}
    })
    await fetch(`${served.url}/api/v1/resources/destination/api`, {
      ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({
        spec: { baseUrl: api.url, allowPrivateNetwork: true, limits: { concurrency: 3 } },
        takeOver: true,
      }),
    })
    await page.goto(`${served.url}/syncs/people`)
    await page.getByRole('button', { name: 'Run people now' }).click()
    await page.getByRole('heading', { name: `Run of ${HOSTILE}` }).waitFor()
    const throughput = page.getByRole('region', { name: 'Throughput' })
    await throughput.getByRole('img', { name: /rows a second now/ }).waitFor()
    const phases = page.getByRole('list', { name: 'Phases' })
    expect(await phases.getByRole('listitem').filter({ hasText: 'sending' }).innerText()).toMatch(/\d/)
    await page.getByText('success').first().waitFor()
    await page
      .getByRole('img', { name: /^Latency/ })
      .first()
      .waitFor()
    for (const phase of ['Comparing rows', 'Writing changes', 'Rendering requests', 'Sending requests']) {
      const shown = phases.getByRole('listitem').filter({ hasText: phase })
      expect(await shown.innerText()).toMatch(/\d+(\.\d)? (ms|s)/)
      expect(await shown.locator('small').getAttribute('title')).toMatch(/^began .* UTC$/)
    }
    // The counts add up: detected = delivered + rejected + unknown + unsent.
    const cells = await page
      .getByRole('row', { name: /^added/ })
      .locator('td.number')
      .allInnerTexts()
    const [detected = NaN, ...parts] = cells.slice(0, 5).map(Number)
    expect(detected).toBe(60)
    expect(parts.reduce((sum, part) => sum + part, 0)).toBe(detected)
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

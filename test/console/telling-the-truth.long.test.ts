/** What pages say of a destination, a source and a run that misbehave, and of the way to mend them. */
import { failedPage, runView, type RunView } from '@sluice/contracts/api'
import type { Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { freePorts } from '../../deploy/local/ports.ts'
import { peopleCsv } from '../e2e/people-project.ts'
import { consoleSuite } from './console-suite.ts'

const [CLOSED = 0] = await freePorts(1)
const PATIENT = { timeout: 180_000 }
const PHONE = { width: 375, height: 812 }
/** More than the breaker takes. */
const MANY = 180

const sync = (name: string, { to = 'api', model = 'people' } = {}): string => `
kind: sync
name: ${name}
model: ${model}
destination: ${to}
triggers:
  added: { method: PUT, path: '/${name}/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
---`
const model = (name: string, source = 'files'): string => `
kind: model
name: ${name}
source: ${source}
sql: select id, name from '${name}.csv'
primaryKey: id
---`
const destination = (name: string, fields = ''): string => `
kind: destination
name: ${name}
baseUrl: \${API_URL}
allowPrivateNetwork: true
${fields}
---`

const suite = consoleSuite({
  files: {
    'project.yaml': [
      '\nkind: source\nname: files\ntype: duckdb\npath: .\n---',
      `\nkind: source\nname: gone-db\ntype: postgres\nurl: postgres://reader@127.0.0.1:${CLOSED}/crm\nallowPrivateNetwork: true\n---`,
      ...[model('people'), model('busy'), model('many'), model('doubled'), model('gone', 'gone-db')],
      destination('api'),
      destination('guarded', `headers: { X-Account: acme, X-Key: '\${secret:crm-key}' }`),
      destination('down', 'breaker: { failures: 20, pause: 1h }\nlimits: { concurrency: 5 }'),
      destination('locked', `headers: { X-Key: '\${secret:not-there}' }`),
      sync('locked', { to: 'locked' }),
      sync('kept'),
      sync('busy', { model: 'busy' }),
      sync('doubled', { model: 'doubled' }),
      sync('refused', { to: 'guarded' }),
      sync('waiting', { to: 'down', model: 'many' }),
      sync('gone', { model: 'gone' }),
    ].join(''),
    'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cy'),
    'busy.csv': peopleCsv('1,Ann', '2,Bob', '3,Cy'),
    'doubled.csv': peopleCsv('1,Ann', '2,Bob', '2,Cy'),
    'many.csv': peopleCsv(...Array.from({ length: MANY }, (_, id) => `${id},Ann`)),
  },
})

async function asked(path: string, { method = 'POST', body = {} } = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return await fetch(`${suite.served.url}/api/v1${path}`, { method, body: JSON.stringify(body), headers })
}

async function started(name: string): Promise<string> {
  const answer = await asked(`/syncs/${name}/runs`)
  expect(answer.status).toBe(202)
  return runView.parse(await answer.json()).id
}

async function ended(id: string): Promise<RunView> {
  await (await fetch(`${suite.served.url}/api/v1/runs/${id}/events`)).text()
  return runView.parse(await (await fetch(`${suite.served.url}/api/v1/runs/${id}`)).json())
}

const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const need = (page: Page, name: string): Locator =>
  section(page, 'Needs attention').getByRole('listitem').filter({ hasText: name })

describe('a destination that refuses its credentials', () => {
  it('names the secret, and has the button that replaces it, on each page', PATIENT, async () => {
    const { api, served, browser } = suite
    api.on({ url: '/refused' }, { status: 401, body: '{"error":"who are you?"}' })
    const secret = { value: 'not-the-right-one', for: '127.0.0.1' }
    expect((await asked('/secrets/crm-key', { method: 'PUT', body: secret })).ok).toBe(true)
    const { id, failing } = await ended(await started('refused'))
    expect(failing).toBe(true)
    const page = await browser.open(PHONE)
    const set = (place: Locator | Page) => place.getByRole('button', { name: 'Set crm-key…' })
    await page.goto(served.url)
    await need(page, 'refused').getByText('Its requests carry the secret crm-key.').waitFor()
    await set(need(page, 'refused')).waitFor()
    await page.goto(`${served.url}/syncs/refused`)
    await set(page.locator('.banner')).waitFor()
    await page.goto(`${served.url}/runs/${id}`)
    await section(page, 'First cause').getByText('who are you?').waitFor()
    await set(page).waitFor()
    await page.getByText('Its requests carry the secret crm-key.').waitFor()
    await page.getByRole('link', { name: 'crm-key' }).waitFor()
    await page.goto(`${served.url}/resources/destination/guarded`)
    const health = section(page, 'Health')
    await health
      .getByText('All of the last 3 requests failed: HTTP 401, it refuses the credentials.')
      .waitFor()
    await set(health).click()
    await page.getByRole('dialog', { name: 'Set a secret' }).getByLabel('Value').fill('the-right-one')
    await page.getByRole('button', { name: 'Keep it in the vault' }).click()
    await page.getByText('The secret crm-key is set.').waitFor()
    api.on({ url: '/refused' }, {})
    expect((await ended(await started('refused'))).status).toBe('success')
    await page.goto(`${served.url}/resources/destination/guarded`)
    await section(page, 'Health').getByText('healthy').waitFor()
    await page.context().close()
  })
})

describe('a secret that is missing', () => {
  it('is told once on each page, with one button that sets it', PATIENT, async () => {
    const { page, served } = suite
    expect((await asked('/syncs/locked/runs')).status).toBe(422)
    const places = ['/', '/syncs/locked', '/resources/destination/locked']
    for (const path of places) {
      await page.goto(`${served.url}${path}`)
      await page.getByText('cannot be used').first().waitFor()
      const told = page.getByText(/The secret not-there is not set[.]/).filter({ visible: true })
      await told.first().waitFor()
      expect(await told.count(), path).toBe(1)
      expect(await page.getByRole('button', { name: 'Set not-there…' }).count(), path).toBe(1)
    }
  })
})

describe('a run', () => {
  it('keeps its cause once a later run has delivered its rows', PATIENT, async () => {
    const { api, page, served } = suite
    api.on({ url: '/kept' }, { status: 422, body: '{"error":"no e-mail"}' })
    const { id } = await ended(await started('kept'))
    await page.goto(`${served.url}/syncs/kept`)
    await section(page, 'Failed rows').getByRole('button', { name: 'Discard all…' }).click()
    await page.getByRole('dialog', { name: 'Discard all 3 rows of kept that wait?' }).waitFor()
    await page.keyboard.press('Escape')
    await section(page, 'Failed rows').getByRole('button', { name: 'Retry all…' }).click()
    await page.getByRole('dialog', { name: 'Retry all 3 rows of kept that wait?' }).waitFor()
    await page.keyboard.press('Escape')

    api.on({ url: '/kept' }, {})
    expect((await ended(await started('kept'))).status).toBe('success')
    await page.goto(`${served.url}/runs/${id}`)
    await section(page, 'First cause').getByText('no e-mail').waitFor()
    const rows = section(page, 'Failed rows')
    await rows.getByText('None of its rows waits any more').waitFor()
    await rows.getByText('no e-mail').waitFor()
    expect(await rows.getByRole('button').count()).toBe(0)
  })

  it('says at the top which rows of the model are invalid', PATIENT, async () => {
    const { page, served } = suite
    const { id, status } = await ended(await started('doubled'))
    expect(status).toBe('warning')
    await page.goto(`${served.url}/runs/${id}`)
    const invalid = section(page, 'Invalid rows')
    await invalid.getByText('2 of 3 rows of the model were not sent.').waitFor()
    const [box, progress] = await Promise.all([
      invalid.boundingBox(),
      section(page, 'Progress').boundingBox(),
    ])
    expect(box?.y).toBeLessThan(progress?.y ?? 0)
    await page.goto(served.url)
    await need(page, 'doubled').getByText('2 of 3 rows of the model are invalid').waitFor()
  })

  it('counts all rows that wait, also those that have failed', PATIENT, async () => {
    const { api, page, served } = suite
    api.on({ url: '/waiting' }, { status: 500 })
    const id = await started('waiting')
    await page.goto(`${served.url}/runs/${id}`)
    await section(page, 'Now')
      .getByText(/^Stopped: nothing is sent now\. 180 rows wait, \d+ of which failed\.$/)
      .waitFor()
    await section(page, 'Now')
      .getByText(/^It has waited for .* so far, and goes on by /)
      .waitFor()
    await page.goto(served.url)
    await need(page, 'waiting')
      .getByText(/180 rows wait, \d+ of which failed\./)
      .waitFor()
    await asked(`/runs/${id}/cancel`)
    await ended(id)
  })
})

describe('a sync that always runs', () => {
  it('discards the rows that the person saw, whatever the run at work does with them', PATIENT, async () => {
    const { api, page, served } = suite
    const rejected = { status: 422, body: '{"error":"no e-mail"}' }
    api.on({ url: '/busy' }, rejected)
    await ended(await started('busy'))
    await served.project.write('busy.csv', peopleCsv('1,Ann', '2,Bob', '3,Cy', '4,Dee'))
    // The run at work tries all rows again, and the fourth for the first time.
    const looked = Promise.withResolvers<undefined>()
    api.on({ url: '/busy' }, async () => (await looked.promise) ?? rejected)
    const before = api.requests.length
    const atWork = await started('busy')
    await api.waitFor(requests => requests.length >= before + 4)
    await page.goto(`${served.url}/syncs/busy`)
    await section(page, 'Failed rows').getByRole('button', { name: 'Discard all…' }).click()
    const dialog = page.getByRole('dialog', { name: 'Discard all 3 rows of busy that wait?' })
    await dialog.getByRole('button', { name: 'Discard' }).click()
    await dialog.waitFor({ state: 'detached' })
    looked.resolve(undefined)
    await ended(atWork)
    const waiting = async (): Promise<readonly string[]> => {
      const answer = await fetch(`${served.url}/api/v1/syncs/busy/failed`)
      return failedPage.parse(await answer.json()).rows.map(({ key }) => key)
    }
    await expect.poll(waiting, { timeout: 60_000 }).toEqual(['4'])
    await page.goto(`${served.url}/syncs/busy`)
    await section(page, 'Failed rows').getByRole('button', { name: 'Discard all…' }).click()
    await page.getByRole('dialog', { name: 'Discard the 1 row of busy that waits?' }).waitFor()
    await page.keyboard.press('Escape')
  })
})

describe('a source', () => {
  it('says what the last runs have found, without a test of its connection', PATIENT, async () => {
    const { page, served } = suite
    await ended(await started('kept'))
    await page.goto(`${served.url}/resources/source/files`)
    await section(page, 'Health').getByText('healthy').waitFor()
    await section(page, 'Health')
      .getByText(/ read \d+ rows /)
      .waitFor()
    expect((await ended(await started('gone'))).status).toBe('failed')
    await page.goto(`${served.url}/resources/source/gone-db`)
    await section(page, 'Health').getByText('failing').waitFor()
    await section(page, 'Health').getByText('ECONNREFUSED').waitFor()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

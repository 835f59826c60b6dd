/** What pages say of runs while they go on, fail, wait, or are refused, by receivers that let them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { runFiguresView } from '@sluice/contracts/views/history-views'
import { runView, type RunView } from '@sluice/contracts/api'
import type { Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { freePorts } from '../../deploy/local/ports.ts'
import { peopleCsv } from '../e2e/people-project.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const PER_SECOND = 20
/** The limit makes runs of this length last long enough to be looked at on a busy machine. */
const PEOPLE = 960
const [CLOSED = 0] = await freePorts(1)
const PATIENT = { timeout: 180_000 }
/** A busy machine takes long until a run sends. */
const UNTIL_IT_SENDS = { timeout: 90_000 }

const destination = (name: string, fields: string): string => `
kind: destination
name: ${name}
allowPrivateNetwork: true
${fields}
---`
const sync = (name: string, { to = 'api', model = 'people', more = '' } = {}): string => `
kind: sync
name: ${name}
model: ${model}
destination: ${to}
${more}
triggers:
  added: { method: PUT, path: '/${name}/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
  removed: { method: DELETE, path: '/${name}/{{ id }}' }
---`
const model = (name: string, sql: string): string => `
kind: model
name: ${name}
source: files
sql: ${sql}
primaryKey: id
---`
const limited = `baseUrl: \${API_URL}\nlimits: { rate: { requests: ${PER_SECOND}, per: second }, concurrency: 5 }`
const limitedAndClosed = limited.replace('${API_URL}', `http://127.0.0.1:${CLOSED}`)

const suite = consoleSuite({
  files: {
    'project.yaml': [
      '\nkind: source\nname: files\ntype: duckdb\npath: .\n---',
      `\nkind: source\nname: gone-db\ntype: postgres\nurl: postgres://reader@127.0.0.1:${CLOSED}/crm\nallowPrivateNetwork: true\n---`,
      model('gone', 'select id, name from people').replace('source: files', 'source: gone-db'),
      sync('gone', { model: 'gone' }),
      model('people', `select id, name from 'people.csv'`),
      model('few', `select id, name from 'few.csv'`),
      model('mistaken', `select id, nmae from 'people.csv'`),
      destination('api', `baseUrl: \${API_URL}`),
      destination('limited', limited),
      destination('closed', `${limitedAndClosed}\nbreaker: { failures: 20, pause: 5s }`),
      destination('guarded', `baseUrl: \${API_URL}\nheaders: { X-Key: '\${secret:not-there}' }`),
      sync('closed', { to: 'closed' }),
      sync('half', { to: 'limited' }),
      sync('rejected', { model: 'few' }),
      sync('guarded', { to: 'guarded', model: 'few' }),
      sync('mistaken', { model: 'mistaken' }),
      sync('shrinking', { model: 'few', more: 'removalGuard: { share: 0.1, rows: 0 }' }),
    ].join(''),
    'people.csv': peopleCsv(...Array.from({ length: PEOPLE }, (_, id) => `${id},Ann`)),
    'few.csv': peopleCsv('1,Ann', '2,Bob', '3,Cy'),
  },
})

async function asked(path: string, body: object = {}): Promise<Response> {
  return await fetch(`${suite.served.url}/api/v1${path}`, {
    ...{ method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } },
  })
}

async function started(name: string): Promise<string> {
  const answer = await asked(`/syncs/${name}/runs`)
  expect(answer.status).toBe(202)
  return runView.parse(await answer.json()).id
}

async function stateOf(id: string): Promise<RunView> {
  return runView.parse(await (await fetch(`${suite.served.url}/api/v1/runs/${id}`)).json())
}

/** Waits until the run has ended, by its stream. */
async function ended(id: string): Promise<RunView> {
  await (await fetch(`${suite.served.url}/api/v1/runs/${id}/events`)).text()
  return await stateOf(id)
}

const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const need = (page: Page, name: string): Locator =>
  section(page, 'Needs attention').getByRole('listitem').filter({ hasText: name })
const phase = (page: Page, name: string): Locator =>
  page.getByRole('list', { name: 'Phases' }).getByRole('listitem').filter({ hasText: name })
const headOf = (page: Page): Locator => page.locator('.page-head .badge')

describe('a destination that refuses connections', () => {
  it('is named as the first cause while the run goes on, and after it', PATIENT, async () => {
    const { page, served, browser } = suite
    const id = await started('closed')
    await page.goto(`${served.url}/runs/${id}`)
    const cause = section(page, 'First cause')
    await cause.getByText('ECONNREFUSED').waitFor(UNTIL_IT_SENDS)
    const group = section(page, 'Failed rows').getByRole('listitem').filter({ hasText: 'ECONNREFUSED' })
    await group.getByText(/^\d+ rows?$/).waitFor()
    await group.getByRole('link', { name: 'its requests' }).waitFor()
    await headOf(page).getByText('failing').waitFor()
    const { status, errors = [], firstError } = await stateOf(id)
    expect([status, errors.length > 0, firstError?.error]).toEqual([
      'running',
      true,
      expect.stringContaining('ECONNREFUSED'),
    ])
    const overview = await browser.open({ width: 375 })
    await overview.goto(served.url)
    await section(overview, 'Running now').getByText('ECONNREFUSED').waitFor()
    await need(overview, 'closed').getByText('ECONNREFUSED').waitFor()

    // The breaker gives up.
    const over = await ended(id)
    expect(over.triggers.added?.unsent).toBeGreaterThan(0)
    await cause.getByText('ECONNREFUSED').waitFor()
    await headOf(page).getByText('failing').waitFor()
    await need(overview, 'closed').getByText('ECONNREFUSED').waitFor()
    await expect.poll(() => phase(page, 'Sending').getAttribute('data-state')).toBe('failed')
    await expectAccessibleInAllColours(page, 'a run that delivered nothing')
    await overview.context().close()
  })

  it('is charted with the requests that were sent, and no others', PATIENT, async () => {
    const { page, served } = suite
    const { runs } = (await (await fetch(`${served.url}/api/v1/runs?sync=closed`)).json()) as {
      runs: RunView[]
    }
    const [run] = runs
    const figures = runFiguresView.parse(
      await (await fetch(`${served.url}/api/v1/runs/${run?.id ?? ''}/figures`)).json(),
    )
    const { attempts = 0, unsent = 0 } = run?.triggers.added ?? {}
    expect([figures.attempts, unsent > 0]).toEqual([attempts, true])
    // A second by the clock holds no more than the limit of two windows.
    for (const bucket of figures.buckets)
      expect(bucket.attempts / figures.bucketSeconds).toBeLessThanOrEqual(2 * PER_SECOND)
    await page.goto(`${served.url}/requests?sync=closed&outcome=unsent`)
    await page.locator('.request-line').first().click()
    const request = section(page, 'The request')
    await request.getByText('not sent', { exact: true }).waitFor()
    const line = page
      .getByRole('row')
      .filter({ has: page.locator('.request-line') })
      .first()
    await line.getByText('not sent', { exact: true }).waitFor()
    expect(await line.getByText(/no answer|ago/).count()).toBe(0)
    expect(await request.getByText('As sent').count()).toBe(0)
  })
})

describe('a run with a limit, half of which fails', () => {
  it(
    'has the speed of what is delivered, percent and time left, and counts nothing that is to come',
    PATIENT,
    async () => {
      const { api, page, served, browser } = suite
      api.on({ method: 'PUT' }, ({ url }) =>
        /half\/\d*[02468]$/.test(url) ? { status: 422, body: '{"error":"no e-mail"}' } : {},
      )
      const id = await started('half')
      await page.goto(`${served.url}/runs/${id}`)
      const now = section(page, 'Now')
      await now.getByText(/rows\/s delivered, \d+ rows\/s failed/).waitFor(UNTIL_IT_SENDS)
      await now.getByText(/\d+ % · \d+ of 960 rows · \d+ failed · about \d+ (s|min) left/).waitFor()
      await section(page, 'Failed rows').getByText('so far').waitFor()
      const view = await stateOf(id)
      const { deliveredPerSecond = NaN, failedPerSecond = NaN } = view.throughput ?? {}
      expect(deliveredPerSecond).toBeLessThanOrEqual(PER_SECOND)
      expect(deliveredPerSecond + failedPerSecond).toBeLessThanOrEqual(2 * PER_SECOND)
      // Phases overlap: it has sent for as long as it has rendered, or longer.
      await expect.poll(() => phase(page, 'Sending').getAttribute('data-state')).toBe('under way')
      const overview = await browser.open()
      await overview.goto(served.url)
      await section(overview, 'Running now')
        .getByText(/of 960 rows/)
        .waitFor()
      const toCome = overview
        .getByRole('row')
        .filter({ hasText: 'half' })
        .getByTitle(/ not delivered$/)
      const said = (await toCome.count()) === 0 ? '0' : await toCome.innerText()
      expect(Number.parseInt(said, 10)).toBeLessThan(PEOPLE / 2)
      await expectAccessibleInAllColours(overview, 'the overview while runs go on')

      await asked(`/runs/${id}/cancel`)
      const over = await ended(id)
      expect(over.status).toBe('cancelled')
      await need(overview, 'half')
        .getByText(/was cancelled, and \d+ rows were not delivered/)
        .waitFor()
      await overview.context().close()
    },
  )
})

describe('what stands under “Needs attention”', () => {
  it('is a run of which all rows fail, in red', PATIENT, async () => {
    const { api, page, served } = suite
    api.on({ method: 'PUT' }, { status: 422, body: '{"error":"no e-mail"}' })
    const { status, failing } = await ended(await started('rejected'))
    expect([status, failing]).toEqual(['warning', true])
    await page.goto(served.url)
    await need(page, 'rejected').locator('.badge', { hasText: 'failing' }).waitFor()
    await page.locator('.headline').getByText('Failing syncs').waitFor()
    await page.goto(`${served.url}/resources/destination/api`)
    await page
      .locator('.lineage-box', { hasText: 'rejected' })
      .locator('.badge', { hasText: 'failing' })
      .waitFor()
    await page.goto(`${served.url}/syncs/rejected`)
    const error = section(page, 'Failed rows').locator('.group-error').first()
    await error.getByText('no e-mail').waitFor()
    // The status stands beside the message, which does not repeat it.
    expect(await error.innerText()).not.toContain('HTTP 422')
    const cards = await page.locator('section.card h2').allInnerTexts()
    expect(cards.indexOf('Failed rows')).toBeLessThan(cards.indexOf('Runs'))
    await section(page, 'Failed rows').getByRole('button', { name: 'Retry all…' }).click()
    await page.getByRole('dialog', { name: 'Retry all 3 rows of rejected that wait?' }).waitFor()
    await page.keyboard.press('Escape')
    await page.goto(`${served.url}/runs?sync=rejected`)
    await page.getByRole('row').locator('.badge', { hasText: 'failing' }).first().waitFor()
  })

  it('is a run that was refused for a missing secret, until that is set', PATIENT, async () => {
    const { page, served } = suite
    expect((await asked('/syncs/guarded/runs')).status).toBeGreaterThanOrEqual(400)
    await page.goto(served.url)
    await need(page, 'guarded').getByText('was refused').waitFor()
    await need(page, 'guarded').getByText('not-there', { exact: true }).waitFor()
    await fetch(`${served.url}/api/v1/secrets/not-there`, {
      ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ value: 'it-is-there-now', for: '127.0.0.1' }),
    })
    await need(page, 'guarded').waitFor({ state: 'detached' })
  })
})

it('an error of a source leads to its page, which tests the connection', PATIENT, async () => {
  const { page, served } = suite
  expect((await ended(await started('gone'))).status).toBe('failed')
  await page.goto(served.url)
  const unreachable = need(page, 'From gone-db')
  await unreachable.getByText('ECONNREFUSED').waitFor()
  await unreachable.getByRole('link', { name: 'Open the source' }).click()
  await page.getByRole('heading', { name: 'gone-db', level: 1 }).waitFor()
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(`Nothing listens at port ${CLOSED} of 127.0.0.1.`).waitFor()
  await expectAccessibleInAllColours(page, 'a source that cannot be reached')
  await page.goto(`${served.url}/syncs/gone`)
  await page.locator('.banner').getByRole('link', { name: 'Open the source' }).waitFor()
})

describe('the phases of a run', () => {
  it('show the one that failed in red', PATIENT, async () => {
    const { page, served } = suite
    const { id } = await ended(await started('mistaken'))
    await page.goto(`${served.url}/runs/${id}`)
    await headOf(page).getByText('failed').waitFor()
    // The error is told once.
    expect(await page.getByRole('alert').getByText(/nmae/).count()).toBe(1)
    expect(await phase(page, 'Comparing rows').getAttribute('data-state')).toBe('failed')
  })

  it('say that a held run waits for approval, and compares no longer', PATIENT, async () => {
    const { api, page, served } = suite
    api.on({}, {})
    await ended(await started('shrinking'))
    await served.project.write('few.csv', peopleCsv('1,Ann'))
    const id = await started('shrinking')
    await page.goto(`${served.url}/runs/${id}`)
    await phase(page, 'Waiting for approval').waitFor()
    const compared = phase(page, 'Comparing rows').locator('small')
    const before = await compared.innerText()
    await sleep(1_200)
    expect(await compared.innerText()).toBe(before)
    expect(await phase(page, 'Comparing rows').getAttribute('data-state')).toBe('over')
    await expectAccessibleInAllColours(page, 'a run that waits for approval')
    const card = section(page, 'Held for approval')
    await card.getByText(/^The model returned 1 row; 3 rows are at the destination/).waitFor()
    // The first thing to press opens the model, and the rows that would go come after both.
    expect(await card.getByRole('button').or(card.getByRole('link')).first().innerText()).toBe(
      'Look at the model',
    )
    await card.getByRole('button', { name: 'Remove 2 rows…' }).click()
    await page
      .getByRole('dialog')
      .getByText('If more than 2 rows would go by then, the run is held again.')
      .waitFor()
    await page.keyboard.press('Escape')
    await card.getByRole('link', { name: 'Look at the model' }).click()
    await page
      .getByRole('heading', { name: 'Model', exact: true })
      .or(page.getByLabel('SQL'))
      .first()
      .waitFor()
    expect(new URL(page.url()).searchParams.get('step')).toBe('model')
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

/**
 * People look after a stream from a followed table of PostgreSQL: its lag, its failures, and its commands.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const postgresUrl = inject('postgresUrl')
const SYNC = `people-${randomUUID().slice(0, 8)}`
const TABLE = SYNC.replaceAll('-', '_')
const ROWS = 8
/** The event of a run tells how its stream stands every 5 s, on a busy machine later. */
const TOLD_MS = 60_000

const PROJECT = `
kind: source
name: crm
type: postgres
url: \${POSTGRES_URL}
allowPrivateNetwork: true
follow: {}
---
kind: model
name: people
source: crm
table: public.${TABLE}
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: ${SYNC}
model: people
destination: api
schedule: continuous
errors: { retry: next-run, retryAfter: 2s }
removalGuard: { share: 0.4, rows: 2 }
triggers:
  added: &put
    method: PUT
    path: /people/{{ row.id }}
    body: { json: '{ "name": {{ row.name | json }} }' }
  changed: *put
  removed: { method: DELETE, path: '/people/{{ row.id }}' }
`

describe.skipIf(postgresUrl === null)('a stream in the console', () => {
  let database: pg.Client
  beforeAll(async () => {
    database = new pg.Client({ connectionString: postgresUrl ?? '' })
    await database.connect()
    await database.query(`create table ${TABLE} (id int primary key, name text)`)
    await database.query(`insert into ${TABLE} select n, 'name ' || n from generate_series(1, ${ROWS}) n`)
  })
  afterAll(async () => {
    const slot = `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1`
    await database.query(slot, [`sluice_${TABLE}`])
    await database.query(`drop publication if exists sluice_${TABLE}`)
    await database.query(`drop table ${TABLE}`)
    await database.end()
  })
  const suite = consoleSuite({
    files: { 'project.yaml': PROJECT },
    env: { POSTGRES_URL: postgresUrl ?? '' },
  })

  const section = (page: Page, name: string) => page.getByRole('region', { name, exact: true })
  const at = (path: string): string => `${suite.served.url}${path}`
  const sent = (method: string, id: number) =>
    suite.api.requests.filter(each => each.method === method && each.url === `/people/${id}`)

  /** On a wide screen, and on a phone, where nothing may stand out to the side. */
  async function look(page: Page, what: string): Promise<void> {
    const { width = 1280, height = 860 } = page.viewportSize() ?? {}
    await page.setViewportSize({ width: 1440, height })
    await expectAccessibleInAllColours(page, what)
    await page.setViewportSize({ width: 375, height })
    expect(await page.evaluate('document.documentElement.scrollWidth'), what).toBeLessThanOrEqual(375)
    await page.setViewportSize({ width, height })
  }

  it('is shown as one, with its lag and the rows of each minute', async () => {
    const { page, api } = suite
    await api.waitFor(ROWS)
    await database.query(`update ${TABLE} set name = 'Ann' where id = 1`)
    await api.waitFor(() => sent('PUT', 1).length === 2)
    await page.goto(at(`/syncs/${SYNC}`))
    const stream = section(page, 'Stream')
    await stream.getByText('Newest change delivered').waitFor({ timeout: TOLD_MS })
    await stream.getByRole('img', { name: /^Rows in each minute/ }).waitFor({ timeout: TOLD_MS })
    expect(await stream.getByText('Lag').count()).toBe(1)
    await page.getByLabel('At a glance').getByText('streaming').waitFor()
    const run = section(page, 'Runs').getByRole('row').nth(1)
    await run.getByText('streaming').waitFor()
    await run.getByText(/^lag none/).waitFor({ timeout: TOLD_MS })
    await look(page, 'stream, sync')
    await run.getByRole('link', { name: /streaming/ }).click()
    await section(page, 'Stream').getByText('Streams since').waitFor()
    await section(page, 'Stream')
      .getByRole('img', { name: /^Rows in each minute/ })
      .waitFor()
    await look(page, 'stream, run')
    await page.goto(at('/'))
    await page.getByRole('cell', { name: /^since .* lag none/ }).waitFor()
    await look(page, 'stream, overview')
  })

  it('shows the rows that the destination refuses, and delivers them once it takes them', async () => {
    const { page, api } = suite
    api.on({ method: 'PUT', url: '/people/2' }, { status: 422, body: '{"message":"no such name"}' })
    await database.query(`update ${TABLE} set name = '?' where id = 2`)
    await page.goto(at(`/syncs/${SYNC}`))
    await section(page, 'Failed rows').getByText('no such name').first().waitFor({ timeout: TOLD_MS })
    // Each try of the row fails. It stays one row, by which the stream is behind.
    await api.waitFor(() => sent('PUT', 2).length >= 4)
    const glance = page.getByLabel('At a glance')
    await glance.getByText('1 row failed', { exact: true }).waitFor({ timeout: TOLD_MS })
    expect(await glance.locator('dd').nth(1).innerText()).toMatch(/^1\n/)
    const run = section(page, 'Runs').getByRole('row').nth(1)
    await run.getByText(/^lag 1 row failed/).waitFor({ timeout: TOLD_MS })
    await run.getByText('1', { exact: true }).waitFor({ timeout: TOLD_MS })
    await look(page, 'stream, failing')
    api.on({ method: 'PUT', url: '/people/2' }, { status: 200 })
    await page.getByText('no row waits for a retry').waitFor({ timeout: TOLD_MS })
  })

  it('is held before many removals, and goes on once somebody approves them', async () => {
    const { page, api } = suite
    await database.query(`delete from ${TABLE} where id > 4`)
    await page.goto(at(`/syncs/${SYNC}`))
    await page.getByLabel('At a glance').getByRole('link', { name: 'held' }).click({ timeout: TOLD_MS })
    await page.getByText(/would remove/).waitFor()
    await look(page, 'stream, held')
    expect(sent('DELETE', 5)).toEqual([])
    await page.getByRole('button', { name: /^Remove 4 rows/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove 4 rows' }).click()
    await api.waitFor(() => [5, 6, 7, 8].every(id => sent('DELETE', id).length === 1))
  })

  it('sends all rows again by a resync, and stays one entry of the history', async () => {
    const { page, api } = suite
    const before = sent('PUT', 3).length
    await page.goto(at(`/syncs/${SYNC}`))
    await page.getByRole('button', { name: 'Resync…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Send every row' }).click()
    await api.waitFor(() => sent('PUT', 3).length > before)
    await page.goto(at(`/syncs/${SYNC}`))
    await section(page, 'Runs')
      .getByRole('link', { name: /hourly runs/ })
      .click({ timeout: TOLD_MS })
    await page.getByRole('button', { name: 'Show a stream as one entry' }).waitFor()
    await page.getByRole('cell', { name: 'resync' }).waitFor()
    await look(page, 'stream, its runs')
  })

  it('is set up by the form of its source, which names publication and slot', async () => {
    const { page } = suite
    await page.goto(at('/new/source'))
    await page.getByLabel('Where the rows are').selectOption('postgres')
    const follows = page.getByRole('checkbox', { name: /^Streams may follow its tables/ })
    const slot = page.getByLabel('Replication slot')
    expect(await slot.count()).toBe(0)
    await follows.click()
    await slot.fill('mine')
    await look(page, 'stream, source')
    // A name that is taken back leaves the switch as it is.
    await slot.fill('')
    expect(await follows.isChecked()).toBe(true)
    await follows.click()
    await slot.waitFor({ state: 'detached' })
  })
})

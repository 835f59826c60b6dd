/**
 * Much of everything: 500 syncs with twenty runs each, a run of five million rows, bodies of 1 MB. Nothing
 * holds up what a person types.
 */
import { join } from 'node:path'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { createSqliteIndex } from '@sluice/history/adapters/sqlite'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { RecordIo } from '@sluice/topics/record-io'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { longestBlock, MAX_BLOCKING_MS } from './blocking.ts'
import { servedConsole, startBrowser, type Looking, type ServedConsole } from './console-page.ts'

const SYNCS = 500
const RUNS_EACH = 20
const ROWS = 5_000_000
const BATCH = 100
const PREFIX = 'sluice'
const SOON = { timeout: 20_000, interval: 30 }
const never = new AbortController().signal

const PEOPLE = 'id,name\n1,Ann\n'
/** About 1 MB of JSON on one line. */
const LARGE_BODY = `{"name":{{ row.name | json }},"items":[{% for i in (1..22000) %}{"id":{{ i }},"text":"item number {{ i }}","list":[1,2]},{% endfor %}]}`
const manySyncs = Array.from(
  { length: SYNCS - 1 },
  (_, at) =>
    `---\nkind: sync\nname: team-${at % 7}-sync-${at}\nmodel: people\ndestination: api\ntriggers: { added: { method: POST, path: / } }\n`,
).join('')

let api: ScriptedApi
let browser: Looking
let served: ServedConsole
let page: Page
let run = ''
beforeAll(async () => {
  api = await startScriptedApi()
  api.on({}, ({ body }) => ({ body }))
  browser = await startBrowser()
  const triggers = `\n  added: { method: POST, path: /people, body: { json: '${LARGE_BODY}' } }`
  served = await servedConsole({
    files: { 'project.yaml': `${peopleYaml({ triggers })}${manySyncs}`, 'people.csv': PEOPLE },
    env: { API_URL: api.url },
  })
  await served.project.sluice('run', 'people')
  run = (await served.project.runs())[0]?.id ?? ''
  // The index follows a moment later.
  await vi.waitFor(async () => {
    const figures: unknown = await (await fetch(`${served.url}/api/v1/runs/${run}/figures`)).json()
    expect(figures).toMatchObject({ buckets: [{}] })
  }, SOON)
  await served.stop()
  await addRuns(join(served.project.dir, '.sluice/log.db'))
  addAttempts(join(served.project.dir, '.sluice/history.db'))
  await served.start()
  page = await browser.open()
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

/** Runs of all syncs but the one that ran, as their change-detectors would tell of them. */
async function addRuns(file: string): Promise<void> {
  await using log = createSqliteLog({ file })
  await using codec = createSqliteCodec({ file })
  const io = await RecordIo.open(codec, PREFIX, { signal: never })
  const now = Date.now()
  for (let at = 0; at < SYNCS - 1; at += 1)
    for (let nth = 0; nth < RUNS_EACH; nth += 1) {
      const queuedAt = now - (RUNS_EACH - nth) * 60_000
      const rejected = (at + nth) % 5
      const counts = { detected: 100, delivered: 100 - rejected, rejected, unknown: 0, unsent: 0 }
      const event = sampleEvent({
        ...{ sync: `team-${at % 7}-sync-${at}`, incarnation: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
        ...{ runId: `01ARZ3ND${String(at).padStart(9, '0')}${String(nth).padStart(9, '0')}`, run: nth + 1 },
        ...{ status: rejected === 0 ? 'success' : 'warning', complete: true, rowsRead: 100 },
        ...{ queuedAt, startedAt: queuedAt, endedAt: queuedAt + 1_000 },
        counts: { added: { ...counts, requests: 1, attempts: 1 } },
      } as const)
      await appendRunEvent({ log, io, prefix: PREFIX }, event, { signal: never })
    }
}

/** The attempts of a run of five million rows, a hundred in each request. */
function addAttempts(file: string): void {
  const index = createSqliteIndex({ file, maxBytes: 10e9, keepsBodies: false })
  const of = index.run(run)
  if (of === null) throw new Error('The index does not know the run.')
  const { number, ...life } = of
  const place = { ...life, topic: 'attempts', partition: 0 } as const
  const next = index.position(place) ?? 0
  const now = Date.now()
  for (let from = 0; from < ROWS / BATCH; from += 1_000)
    index.addAttempts({
      ...{ place, next },
      attempts: Array.from({ length: 1_000 }, (_, at) => {
        const seq = from + at + 10
        return {
          ...{ run: number, runId: run, seq, requestOffset: seq, attempt: 1, trigger: 'added', offset: seq },
          ...{ outcome: seq % 50 === 0 ? 'rejected' : 'delivered', status: seq % 50 === 0 ? 422 : 200 },
          ...{ error: seq % 50 === 0 ? 'HTTP 422: the item is not known' : null, method: 'POST' },
          ...{ url: `${api.url}/people/${seq}`, startedAt: now - 600_000 + seq * 10, durationMs: seq % 900 },
          keys: Array.from({ length: from === 0 ? BATCH : 1 }, (_key, row) => String(seq * BATCH + row)),
          details: null,
        } as const
      }),
    })
  void index[Symbol.asyncDispose]()
}

describe('500 syncs', () => {
  it('are all on the overview, of which only those near the window are made', async () => {
    await page.goto(served.url)
    await page.getByRole('heading', { name: `${SYNCS} syncs` }).waitFor()
    expect(await page.getByRole('row').count()).toBeLessThan(SYNCS / 2)
    await page.getByLabel('Filter the syncs by name, model or destination').fill('sync-498')
    await page.getByRole('link', { name: 'team-1-sync-498' }).first().waitFor()
  })

  it('hold up neither the letters of a filter nor those of the palette', async () => {
    const filter = page.getByLabel('Filter the syncs by name, model or destination')
    await filter.focus()
    const filtering = await longestBlock(page, async () => {
      // The page asks for all syncs again meanwhile.
      const asked = page.waitForResponse(response => /\/api\/v1\/syncs\?/.test(response.url()))
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.type('team-3', { delay: 30 })
      await (await asked).finished()
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.press('Delete')
    })
    expect(filtering, 'processor ms of one task while filtering').toBeLessThanOrEqual(MAX_BLOCKING_MS)
    await filter.blur()
    const finding = await longestBlock(page, async () => {
      await page.keyboard.press('k')
      await page.getByRole('combobox', { name: /^Find/ }).waitFor()
      await page.keyboard.type('sync-4', { delay: 30 })
      await page.keyboard.press('ArrowDown')
      await page.keyboard.press('Escape')
      await page.getByRole('combobox', { name: /^Find/ }).waitFor({ state: 'detached' })
    })
    expect(finding, 'processor ms of one task in the palette').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })

  it('hold up neither scrolling nor the pages that list them', async () => {
    const scrolling = await longestBlock(page, async () => {
      for (let screen = 0; screen < 12; screen += 1) await page.keyboard.press('PageDown')
      await page.keyboard.press('End')
      await page.keyboard.press('Home')
    })
    expect(scrolling, 'processor ms of one task while scrolling').toBeLessThanOrEqual(MAX_BLOCKING_MS)
    const going = await longestBlock(page, async () => {
      await page.keyboard.press('g')
      await page.keyboard.press('s')
      await page.getByRole('heading', { name: 'Resources', level: 1 }).waitFor()
      await page.getByRole('link', { name: 'team-0-sync-0', exact: true }).waitFor()
      await page.keyboard.press('g')
      await page.keyboard.press('o')
      await page.getByRole('heading', { name: `${SYNCS} syncs` }).waitFor()
    })
    expect(going, 'processor ms of one task while going from page to page').toBeLessThanOrEqual(
      MAX_BLOCKING_MS,
    )
  })
})

describe('a run of five million rows', () => {
  it('shows its figures, and its requests page by page, while somebody types', async () => {
    await page.goto(`${served.url}/runs/${run}`)
    await page.getByRole('heading', { name: 'Run of people' }).waitFor()
    await page.goto(`${served.url}/requests?run=${run}`)
    const lines = page.locator('.request-line')
    await lines.first().waitFor()
    for (let pages = 1; pages < 6; pages += 1) {
      const before = await page.evaluate('document.querySelector(".request-list .scroll").scrollHeight')
      await page.getByRole('button', { name: 'Older requests' }).click()
      await expect
        .poll(async () => await page.evaluate('document.querySelector(".request-list .scroll").scrollHeight'))
        .toBeGreaterThan(Number(before))
    }
    expect(await lines.count()).toBeLessThan(250)
    const typing = await longestBlock(page, async () => {
      await page.getByLabel('Text of the error').focus()
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.type('not known', { delay: 30 })
      await page.getByRole('button', { name: /422/ }).first().waitFor()
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.press('Delete')
      await page.getByRole('button', { name: /200/ }).first().waitFor()
    })
    expect(typing, 'processor ms of one task while searching').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })
})

describe('a body of 1 MB', () => {
  it('is opened, shown as a whole, laid out and as sent, and scrolled through', async () => {
    await page.goto(`${served.url}/requests?key=1&sync=people`)
    const line = page.locator('.request-line')
    await line.waitFor()
    // To look for a text in all of the page would hold it up itself.
    const body = 'document.querySelector(".request-detail pre")'
    const first = `${body}?.firstChild?.textContent.slice(0, 20) ?? ""`
    const until = (holds: string) => expect.poll(() => page.evaluate(holds), SOON).toBe(true)
    const opening = await longestBlock(page, async () => {
      await line.focus()
      await page.keyboard.press('Enter')
      await until(`(${first}).startsWith('{\\n  "name": "Ann"')`)
      await page.locator('.request-detail .body > button').first().focus()
      await page.keyboard.press('Enter')
      await until(`${body}?.children.length > 100`)
      await page.locator('.request-detail pre').first().focus()
      await page.keyboard.press('PageDown')
      await page.keyboard.press('End')
      await until(`${body}?.lastChild.textContent.includes('item number 22000')`)
      await page.locator('.request-detail .body-tools button').first().focus()
      await page.keyboard.press('Enter')
      await until(`(${first}).startsWith('{"name":"Ann"')`)
      await page.keyboard.press('Escape')
      await until(`${body} === null`)
    })
    expect(opening, 'processor ms of one task with a large body').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })
})

it('has met no script error', () => {
  expect(browser.complaints).toEqual([])
})

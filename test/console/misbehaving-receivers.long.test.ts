/** What pages say while a receiver misbehaves, after that, and once it takes requests again. */
import { runView, type RunView } from '@sluice/contracts/api'
import type { ScriptedAnswer } from '@sluice/testkit/scripted-api'
import type { Locator, Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleCsv } from '../e2e/people-project.ts'
import { consoleSuite } from './console-suite.ts'

const PATIENT = { timeout: 240_000 }
const ROWS = 6
/** The receiver answers this row once the test has looked. */
const LAST = '/6'

interface Misbehaving {
  readonly answer: ScriptedAnswer
  /** The words of the first cause, and of the destination's health. */
  readonly cause: string
  readonly health: string
}

const HTML = '<!doctype html><html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>'
const FAULTS: { readonly [name: string]: Misbehaving } = {
  drops: {
    answer: { fault: 'reset-after-reading' },
    cause: 'ECONNRESET',
    health: 'it breaks the connection',
  },
  refuses: { answer: { status: 401, body: '{"error":"who?"}' }, cause: 'who?', health: 'HTTP 401' },
  breaks: {
    answer: { status: 500, body: '{"message":"out of disk"}' },
    cause: 'out of disk',
    health: 'HTTP 500',
  },
  gateway: {
    answer: { status: 502, headers: { 'content-type': 'text/html' }, body: HTML },
    cause: 'Bad gateway',
    health: 'HTTP 502',
  },
}
const NAMES = [...Object.keys(FAULTS), 'slow', 'busy']

// Each has a destination of its own, so that none answers for another.
const resources = (name: string): string => `
kind: destination
name: ${name}
baseUrl: \${API_URL}/${name}
allowPrivateNetwork: true
---
kind: sync
name: ${name}
model: people
destination: ${name}
triggers:
  added: { method: PUT, path: '/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
---`

const suite = consoleSuite({
  files: {
    'project.yaml': [
      '\nkind: source\nname: files\ntype: duckdb\npath: .\n---',
      `\nkind: model\nname: people\nsource: files\nsql: select id, name from 'people.csv'\nprimaryKey: id\n---`,
      ...NAMES.map(resources),
    ].join(''),
    'people.csv': peopleCsv(...Array.from({ length: ROWS }, (_, index) => `${index + 1},Ann`)),
  },
})

async function started(name: string): Promise<string> {
  const answer = await fetch(`${suite.served.url}/api/v1/syncs/${name}/runs`, { method: 'POST' })
  expect(answer.status).toBe(202)
  return runView.parse(await answer.json()).id
}

async function ended(id: string): Promise<RunView> {
  await (await fetch(`${suite.served.url}/api/v1/runs/${id}/events`)).text()
  return runView.parse(await (await fetch(`${suite.served.url}/api/v1/runs/${id}`)).json())
}

const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true })
const needs = (page: Page, name: string): Locator =>
  section(page, 'Needs attention').getByRole('listitem').filter({ hasText: name })
const line = (page: Page, name: string): Locator =>
  page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) })

/** Expects one word for the sync on the overview, in the list and on the page of its run. */
async function expectWord(page: Page, { name, id, word }: { name: string; id: string; word: string }) {
  await page.goto(suite.served.url)
  await line(page, name).locator('.badge', { hasText: word }).waitFor()
  await page.goto(`${suite.served.url}/runs?sync=${name}`)
  await page.getByRole('row').locator('.badge', { hasText: word }).first().waitFor()
  await page.goto(`${suite.served.url}/runs/${id}`)
  await page.locator('.page-head .badge', { hasText: word }).waitFor()
}

async function expectHealth(page: Page, name: string, ...words: readonly string[]): Promise<void> {
  await page.goto(`${suite.served.url}/resources/destination/${name}`)
  for (const word of words) await section(page, 'Health').getByText(word).first().waitFor()
}

/** Holds the answers to requests until the test has looked. */
function held(match: string, answer: ScriptedAnswer): { readonly release: () => void } {
  const looked = Promise.withResolvers<undefined>()
  suite.api.on({ url: match }, async () => (await looked.promise) ?? answer)
  return { release: () => looked.resolve(undefined) }
}

describe('a receiver that', () => {
  it.each(Object.entries(FAULTS))(
    '%s is named as the cause everywhere, during the run and after it, until it takes requests again',
    PATIENT,
    async (name, { answer, cause, health }) => {
      const { api, page, served } = suite
      api.on({ url: `/${name}/` }, answer)
      const last = held(`/${name}${LAST}`, answer)
      const id = await started(name)
      const look = async (): Promise<void> => {
        await expectWord(page, { name, id, word: 'failing' })
        await section(page, 'First cause').getByText(cause).first().waitFor()
        expect(await page.locator('body').innerText()).not.toMatch(/<\/?(h1|html|title)/)
        await page.goto(served.url)
        await needs(page, name).getByText(cause).waitFor()
        await page.goto(`${served.url}/syncs/${name}`)
        await page.locator('.banner[data-tone="bad"]').getByText(cause).waitFor()
        await expectHealth(page, name, 'failing', health)
      }
      await api.waitFor(requests => requests.some(({ url }) => url === `/${name}${LAST}`))
      await look()
      last.release()
      expect((await ended(id)).failing).toBe(true)
      await look()

      api.on({ url: `/${name}/` }, {})
      api.on({ url: `/${name}${LAST}` }, {})
      const again = await started(name)
      expect((await ended(again)).status).toBe('success')
      await expectWord(page, { name, id: again, word: 'success' })
      await page.goto(served.url)
      await section(page, 'Destinations').waitFor()
      expect(await needs(page, name).count()).toBe(0)
      await page.goto(`${served.url}/runs/${id}`)
      await section(page, 'First cause').getByText(cause).first().waitFor()
    },
  )

  it('is slow is no fault: its run is running, and says that it sends', PATIENT, async () => {
    const { api, page, served } = suite
    const slow = held('/slow/', {})
    const id = await started('slow')
    await api.waitFor(requests => requests.some(({ url }) => url.startsWith('/slow/')))
    await expectWord(page, { name: 'slow', id, word: 'running' })
    await section(page, 'Now').getByText('It sends requests: 6 rows are to be sent.').waitFor()
    await page.goto(served.url)
    await section(page, 'Running now').getByRole('link', { name: 'slow' }).waitFor()
    expect(await needs(page, 'slow').count()).toBe(0)
    slow.release()
    expect((await ended(id)).status).toBe('success')
    await expectWord(page, { name: 'slow', id, word: 'success' })
    await expectHealth(page, 'slow', 'healthy', 'The last 6 requests arrived.')
  })

  it('asks to wait pauses the destination, which nobody calls a failure', PATIENT, async () => {
    const { api, page } = suite
    api.on({ url: '/busy/' }, { status: 429, headers: { 'retry-after': '40' } }, { times: ROWS })
    const id = await started('busy')
    await page.goto(`${suite.served.url}/runs/${id}`)
    await section(page, 'Now').getByText('Stopped: nothing is sent now. 6 rows wait.').waitFor()
    await section(page, 'Now')
      .getByText(/^It has waited for .* so far, and goes on by /)
      .waitFor()
    await expectHealth(page, 'busy', 'paused by the API', 'Sluice tries again at')
    await expectWord(page, { name: 'busy', id, word: 'running' })
    expect((await ended(id)).status).toBe('success')
    await expectWord(page, { name: 'busy', id, word: 'success' })
    await expectHealth(page, 'busy', 'healthy')
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

/**
 * Every screen, empty and full, narrow and wide, light and dark: axe finds nothing serious, nothing is cut
 * off.
 */
import { gzipSync } from 'node:zlib'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { peopleYaml } from '../e2e/people-project.ts'
import {
  expectAccessibleInAllColours,
  servedConsole,
  startBrowser,
  type Looking,
  type ServedConsole,
} from './console-page.ts'

const FIRST_SCREEN_BYTES = 200 * 1024
const EMPTY = { 'sluice.yaml': 'kind: project\nname: shop\n' }
/** A row, a name or an answer may try this on a page. */
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

/** A sync whose removals are held, and an alert that tells of them. */
const MORE = `---
kind: model
name: staff
source: files
sql: select id, name from 'staff.csv'
primaryKey: id
---
kind: sync
name: staff
model: staff
destination: api
removalGuard: { share: 0.5, rows: 2 }
schedule: { every: 1d }
triggers:
  added: { method: PUT, path: '/staff/{{ id }}' }
  removed: { method: DELETE, path: '/staff/{{ id }}' }
---
kind: alert
name: on-call
syncs: all
when: [run-failed, held, silent: { noSuccessFor: 1d }]
to: { webhook: { url: 'https://alerts.example.com/sluice', secret: '\${secret:alerts}' } }
`

const WIDTHS = [1280, 375] as const

let api: ScriptedApi
let browser: Looking
let empty: ServedConsole
let full: ServedConsole
let guarded: ServedConsole
let earlier = ''
let run = ''
let held = ''
beforeAll(async () => {
  api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: JSON.stringify({ error: HOSTILE }) })
  browser = await startBrowser()
  empty = await servedConsole({ files: EMPTY })
  const hostileCell = `"${HOSTILE.replaceAll('"', '""')}"`
  full = await servedConsole({
    files: {
      'project.yaml': `${peopleYaml()}${MORE}`,
      'people.csv': `id,name\n1,Ann\n2,${hostileCell}\n`,
      'staff.csv': 'id,name\n1,Ann\n2,Bob\n3,Cyd\n',
    },
    env: { API_URL: api.url },
  })
  guarded = await servedConsole({ files: EMPTY, env: { SLUICE_TOKEN: 'a-token-that-may-do-all' } })
  const { project } = full
  await project.sluiceWith('a-secret', 'secret', 'set', 'api-key', '--for', 'api.example.com')
  await project.sluice('run', 'people')
  earlier = (await project.runs())[0]?.id ?? ''
  await project.sluice('run', 'people')
  run = (await project.runs())[0]?.id ?? ''
  await project.sluice('run', 'staff')
  await project.write('staff.csv', 'id,name\n')
  await project.sluice('run', 'staff')
  held = (await project.runs()).find(({ status }) => status === 'held')?.id ?? ''
  expect(held).not.toBe('')
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await Promise.all([empty, full, guarded].map(served => served[Symbol.asyncDispose]()))
  await api[Symbol.asyncDispose]()
})

interface Screen {
  readonly name: string
  readonly path: string
  /** The visitor's steps before the page is judged. */
  readonly act?: (page: Page) => Promise<unknown>
}

const press = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click()

/** Screens of a server that has run something. */
const fullScreens = (): readonly Screen[] => [
  { name: 'a held run', path: `/runs/${held}` },
  { name: 'approving', path: `/runs/${held}`, act: press(/^Remove \d+ rows?…$/) },
  { name: 'a request', path: '/requests?status=422', act: press(/422/) },
  {
    name: 'replaying',
    path: '/requests?status=422',
    act: async page => {
      await press(/422/)(page)
      await press('Replay…')(page)
      await page.getByText(/would go out as (it was|they were) recorded/).waitFor()
    },
  },
  {
    name: 'replaying a row',
    path: '/syncs/people/row?key=2',
    act: async page => {
      await press('Replay…')(page)
      await page.getByText(/would go out as (it was|they were) recorded/).waitFor()
    },
  },
  { name: 'retrying', path: '/syncs/people', act: press('Retry all…') },
  { name: 'discarding a group', path: `/runs/${run}`, act: press(/^Discard these…/) },
  {
    name: 'runs to compare',
    path: '/runs?sync=people',
    act: async page => {
      for (const id of [earlier, run]) await page.getByRole('checkbox', { name: `Compare run ${id}` }).check()
      await page.getByRole('link', { name: 'Compare these two runs' }).waitFor()
    },
  },
  { name: 'two runs', path: `/runs/compare?before=${earlier}&after=${run}` },
  { name: 'a model', path: '/resources/model/people' },
  { name: 'a source', path: '/resources/source/files' },
  { name: 'resetting', path: '/syncs/people', act: press('Reset…') },
  { name: 'setting a secret', path: '/secrets', act: press('Set a secret') },
  { name: 'a destination', path: '/resources/destination/api' },
  { name: 'an alert', path: '/resources/alert/on-call' },
  { name: 'a new alert', path: '/alerts/new' },
  {
    name: 'requests of a time',
    path: '/requests',
    act: async page => {
      const filters = page.getByRole('button', { name: 'Filters' })
      // A narrow screen folds them away.
      if (await filters.isVisible()) await filters.click()
      await page.getByRole('combobox', { name: /^Sent/ }).selectOption('Last hour')
    },
  },
  ...['source', 'model', 'destination', 'behaviour', 'review'].map(step => ({
    ...{ name: `the step ${step}`, path: `/syncs/people/edit?step=${step}` },
    act: (page: Page) =>
      page.evaluate(`document.querySelectorAll('main details').forEach(each => { each.open = true })`),
  })),
  { name: 'as YAML', path: '/syncs/people/edit?step=requests', act: press('Show the YAML') },
]

const screens = (which: 'empty' | 'full'): readonly Screen[] => [
  ...[
    '/',
    '/runs',
    '/requests',
    '/resources',
    '/secrets',
    '/alerts',
    '/tokens',
    '/audit',
    '/system',
    '/new',
    '/runs/compare',
  ].map(path => ({ name: path, path })),
  { name: 'a run', path: `/runs/${run}` },
  { name: 'a sync', path: '/syncs/people' },
  { name: 'an editor', path: '/syncs/people/edit?step=requests' },
  { name: 'a resource', path: '/resources/sync/people' },
  { name: 'a row', path: '/syncs/people/row?key=2' },
  { name: 'nothing', path: '/no/such/page' },
  { name: 'the keys', path: '/', act: page => page.keyboard.press('?') },
  { name: 'the palette', path: '/', act: page => page.keyboard.press('k') },
  ...(which === 'full' ? fullScreens() : []),
]

/** Waits until the page shows what it has to show. */
async function shown(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByRole('heading', { level: 1 }).waitFor()
  const waits = page.locator('.loading, [aria-busy=true]')
  await expect.poll(() => waits.count(), { timeout: 20_000 }).toBe(0)
}

/** The names of lists that are wider than their place. */
const sideways = (page: Page): Promise<unknown> =>
  page.evaluate(`[...document.querySelectorAll('.scroll:has(> table[data-cards])')]
    .filter(list => list.scrollWidth > list.clientWidth)
    .map(list => list.ariaLabel)`)

/** Texts whose lines go on beyond their place. */
const cutLines = (page: Page): Promise<unknown> =>
  page.evaluate(`[...document.querySelectorAll('pre')]
    .filter(text => text.scrollWidth > text.clientWidth)
    .map(text => text.innerText)`)

/** Choices and placeholders that are longer than their field. Lists draw their arrow over the last pixels. */
const cutChoices = (page: Page): Promise<unknown> =>
  page.evaluate(`(() => {
    const context = document.createElement('canvas').getContext('2d')
    const isCut = (field, text, taken) => {
      const { font, paddingLeft, paddingRight } = getComputedStyle(field)
      context.font = font
      const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) - taken
      return field.checkVisibility() && context.measureText(text).width > room
    }
    return [
      ...[...document.querySelectorAll('select')].flatMap(list =>
        [...list.options].flatMap(({ label }) => (isCut(list, label, 16) ? [label] : []))),
      ...[...document.querySelectorAll('input[placeholder]')].flatMap(field =>
        isCut(field, field.placeholder, 0) ? [field.placeholder] : []),
    ]
  })()`)

interface Seen {
  readonly which: string
  readonly name: string
  readonly width: number
}

async function look(page: Page, { which, name, width }: Seen): Promise<void> {
  const seen = `${name}, ${which}, ${width} px`
  await expectAccessibleInAllColours(page, seen)
  const cutOff = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  expect(cutOff, `${seen}: pixels beyond the edge`).toBeLessThanOrEqual(0)
  expect(await sideways(page), `${seen}: tables that scroll sideways`).toEqual([])
  // Examples are there to be read as a whole.
  if (which === 'empty') expect(await cutLines(page), `${seen}: lines that are cut off`).toEqual([])
  expect(await cutChoices(page), `${seen}: choices and placeholders that are cut off`).toEqual([])
  expect(await page.title(), seen).not.toContain('owned')
}

describe.each(WIDTHS)('on %d px', width => {
  it.each(['empty', 'full'] as const)(
    'each screen of a server that is %s can be used by everybody',
    async which => {
      const page = await browser.open({ width })
      const served = which === 'empty' ? empty : full
      for (const { name, path, act } of screens(which)) {
        await shown(page, `${served.url}${path}`)
        await act?.(page)
        await look(page, { which, name, width })
      }
      await page.context().close()
    },
  )

  it('so can the page that asks for a token', async () => {
    const page = await browser.open({ width })
    await shown(page, guarded.url)
    await page.getByLabel('Token', { exact: true }).waitFor()
    await look(page, { which: 'guarded', name: 'signing in', width })
    await page.context().close()
  })
})

describe('the pages', () => {
  it('show text that is meant to be run as the text that it is', async () => {
    const page = await browser.open()
    await shown(page, `${full.url}/requests?status=422`)
    await page.getByRole('button', { name: /422/ }).first().click()
    await page.getByText('<img src=x').first().waitFor()
    expect(await page.locator('img[src=x]').count()).toBe(0)
    expect(await page.title()).toBe('Requests · Sluice')
    await page.context().close()
  })

  it('ask nobody else for anything, and need little for the first screen', async () => {
    const page = await browser.open()
    const asked: string[] = []
    page.on('request', request => asked.push(request.url()))
    await shown(page, full.url)
    expect(asked.filter(url => !url.startsWith(full.url))).toEqual([])
    const html = await (await fetch(full.url)).text()
    // Scripts that the page does not name are loaded after the first screen.
    const named = [...html.matchAll(/"(\/(?:assets\/[^"]+|first\.js))"/g)].map(([, path = '']) => path)
    const ofPages = await page.locator('meta[name="sluice-scripts"]').getAttribute('content')
    const { overview } = z.object({ overview: z.array(z.string()) }).parse(JSON.parse(ofPages ?? ''))
    const files = [...named, ...overview].map(path => full.url + path)
    expect(files.length).toBeGreaterThanOrEqual(3)
    const loaded = await Promise.all(files.map(async url => await (await fetch(url)).arrayBuffer()))
    const bytes = loaded.reduce((sum, body) => sum + gzipSync(new Uint8Array(body)).length, 0)
    expect(bytes).toBeLessThan(FIRST_SCREEN_BYTES)
    await page.context().close()
  })

  it('have met no script error and no refusal of their own policy', () => {
    expect(browser.complaints).toEqual([])
  })
})

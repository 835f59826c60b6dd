/**
 * From an empty server to Algolia's synonyms delivered, through an API that breaks, and back, by keyboard
 * alone: no event of a mouse, and each stop of Tab can be seen.
 */
import { readFileSync } from 'node:fs'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { servedConsole, startBrowser, type Looking, type ServedConsole } from './console-page.ts'
import { hasFocus, Keyboard } from './keyboard.ts'

const SYNONYMS = readFileSync(
  new URL('../../docs/examples/algolia/data/synonyms.csv', import.meta.url),
  'utf8',
)
const FILES = { 'sluice.yaml': 'kind: project\nname: shop\n', 'data/synonyms.csv': SYNONYMS }
const BATCH = '/1/indexes/main/synonyms/batch'
const template = (type: string): string =>
  `[{% for row in rows %}{"objectID":"{{ row.id }}","type":"${type}","synonyms":["{{ row.synonyms | replace: ', ', '","' }}"],},{% endfor %}]`

let api: ScriptedApi
let served: ServedConsole
let browser: Looking
let page: Page
let keys: Keyboard
beforeAll(async () => {
  api = await startScriptedApi()
  ;[served, browser] = await Promise.all([servedConsole({ files: FILES }), startBrowser()])
  page = await browser.open()
  keys = await Keyboard.of(page)
  await page.goto(served.url)
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const button = (name: string | RegExp): Locator => page.getByRole('button', { name, exact: true })
const field = (name: string): Locator => page.getByLabel(name, { exact: true })
const editor = (label: string): Locator => page.locator(`[data-label="${label}"] .cm-content`)
const preview = (): Locator => page.getByRole('region', { name: 'Live preview' })

const runIs = async (status: string): Promise<void> => {
  await page.getByRole('heading', { name: 'Run of algolia-synonyms' }).waitFor()
  await page.locator('.lead').getByText(status).waitFor()
}

interface Synonym {
  readonly objectID: string
  readonly type: string
  readonly synonyms: readonly string[]
}
/** The rows that the API has taken, one list for each request. */
const batches = (): readonly (readonly Synonym[])[] =>
  api.requests.map(({ body }) => JSON.parse(body) as readonly Synonym[])

describe('somebody with a keyboard alone', () => {
  it('learns the keys, and gets back to where they were', async () => {
    const start = page.getByRole('link', { name: 'Set up a sync' })
    await keys.reach(start)
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await hasFocus(start)).toBe(true)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'New sync' }).waitFor()
  })

  it('says where the rows are, and which', async () => {
    await keys.write(field('Name'), 'shop')
    await keys.write(field('Folder, or .duckdb file'), './data')
    await keys.press(button('Test connection'))
    await page.getByText('The source answers').waitFor()
    await keys.press(button('Model →'))
    await keys.write(field('Name'), 'synonyms')
    await keys.write(editor('SQL of the model'), "select id, synonyms from 'synonyms.csv'")
    await page.getByRole('cell', { name: 'trousers, pants, slacks' }).waitFor()
    await keys.press(button('Check the key'))
    await page.getByText('Each of the 4 rows has a key of its own').waitFor()
    await keys.press(button('Destination →'))
  })

  it('says where the rows go, with a key that becomes a secret', async () => {
    await keys.write(field('Name'), 'algolia')
    await keys.write(field('Address of the API'), api.url)
    await keys.write(field('Name of another of the headers'), 'X-Algolia-API-Key')
    await page.keyboard.press('Enter')
    await keys.write(field('X-Algolia-API-Key'), 'an-admin-key')
    await keys.press(button('Make it a secret'))
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    await keys.write(dialog.getByLabel('Hosts that it may go to'), '127.0.0.1')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    expect(await field('X-Algolia-API-Key').inputValue()).toBe('${secret:algolia-x-algolia-api-key}')
    await keys.press(button('Requests →'))
  })

  it('writes the requests, and sees them as it types', async () => {
    await keys.write(field('Path'), BATCH)
    await keys.press(page.getByRole('checkbox', { name: /^Several rows/ }), 'Space')
    await keys.write(editor('JSON template'), template('synonym'))
    await preview().getByText('"objectID": "trousers"').waitFor()
    await keys.reach(page.getByRole('tab', { name: 'added' }))
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    await keys.choose(page.getByLabel('For rows that are no longer in the model'), 'send a request')
    await keys.write(field('Path'), '/1/indexes/main/synonyms/{{ row.id }}')
    await preview().getByText('/1/indexes/main/synonyms/trousers').waitFor()
    await keys.press(button('Schedule and errors →'))
    await keys.write(field('Name of the sync'), 'algolia-synonyms')
    await keys.press(button('Review →'))
  })

  it('is told what the first run sends, and watches it being delivered', async () => {
    await page.getByText('4 rows will count as added').waitFor()
    await keys.press(button('Save and run'))
    await runIs('success')
    expect(batches()).toHaveLength(1)
    expect(batches()[0]).toContainEqual({
      ...{ objectID: 'sofa', type: 'synonym', synonyms: ['sofa', 'couch', 'settee'] },
    })
    expect(api.requests[0]).toMatchObject({ url: BATCH, headers: { 'x-algolia-api-key': 'an-admin-key' } })
  })

  it('finds out in the debugger why the API refuses', async () => {
    const said = '{"message":"type: `synonym` is no more, use `multiWay`"}'
    api.on({}, ({ body }) => (body.includes('"type":"synonym"') ? { status: 400, body: said } : {}))
    await served.project.write('data/synonyms.csv', `${SYNONYMS.trim()}\nlamp,"lamp, light"\n`)
    await keys.find('run algolia-synonyms')
    await runIs('failing')
    await page.getByText('use `multiWay`').first().waitFor()
    await keys.press(page.getByRole('link', { name: 'its requests' }))
    await page.getByRole('heading', { name: 'Requests', level: 1 }).waitFor()
    await keys.press(button(/400/))
    const request = page.getByRole('region', { name: 'The request' })
    await request.getByText('use `multiWay`').first().waitFor()
    // The focus has gone past the rest of the list. Escape leads back.
    const close = request.getByRole('button', { name: 'Close the request' })
    await expect.poll(() => hasFocus(request.getByRole('heading').first())).toBe(true)
    await page.keyboard.press('Tab')
    expect(await hasFocus(close)).toBe(true)
    await page.keyboard.press('Escape')
    await request.waitFor({ state: 'detached' })
    expect(await hasFocus(button(/400/))).toBe(true)
  })

  it('mends the template with the preview, and tries the row again', async () => {
    await keys.find('edit algolia-synonyms')
    await keys.write(editor('JSON template'), template('multiWay'))
    await preview().getByText('"type": "multiWay"').first().waitFor()
    await page.keyboard.press('ControlOrMeta+Enter')
    await keys.press(button('Save'))
    await page.getByRole('heading', { name: 'algolia-synonyms', level: 1 }).waitFor()
    await keys.press(button('Retry all…'))
    await keys.press(page.getByRole('dialog').getByRole('button', { name: 'Retry' }))
    await runIs('success')
    expect(batches().at(-1)).toEqual([{ objectID: 'lamp', type: 'multiWay', synonyms: ['lamp', 'light'] }])
  })

  it('sends the request once more', async () => {
    const before = batches()
    await keys.press(page.locator('main').getByRole('link', { name: 'Requests' }))
    await keys.press(button(/200/))
    await keys.press(button('Replay…'))
    await keys.press(button('Send again'))
    await page.getByText('replay').first().waitFor()
    await runIs('success')
    expect(batches()).toEqual([...before, before.at(-1)])
  })

  it('has used no mouse, and met no script error', async () => {
    expect(await keys.mouse()).toBeNull()
    expect(browser.complaints).toEqual([])
  })
})

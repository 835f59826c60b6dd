/**
 * Takes the pictures of the console that the docs show, of the example that the demo runs: `npm run
 * pictures`. The API refuses some rows, so that the pages have something to tell.
 */
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import type { Page } from 'playwright-core'
import { servedConsole, startBrowser } from './console-page.ts'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/algolia/', import.meta.url))
const PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const SYNC = 'algolia-synonyms'
const EVEN_FEWER = 'id,synonyms\n'

const fileOf = (name: string): string => readFileSync(`${EXAMPLE}${name}`, 'utf8')

await using api = await startScriptedApi()
await using served = await servedConsole({
  files: {
    'sluice.yaml': 'kind: project\nname: shop\n',
    'shop.yaml': fileOf('shop.yaml'),
    'algolia.yaml': fileOf('algolia.yaml'),
    'algolia-synonyms.yaml': fileOf('algolia-synonyms.yaml'),
    'data/synonyms.csv': fileOf('data/synonyms.csv'),
  },
  env: { ALGOLIA_URL: api.url, SLUICE_SECRET_ALGOLIA_KEY: 'not-a-real-key' },
})
await using browser = await startBrowser()
await mkdir(PICTURES, { recursive: true })
await served.project.sluice('run', SYNC)
api.on(
  { method: 'DELETE' },
  { status: 403, body: '{"message":"Method not allowed with this API key","status":403}' },
)
const [head = '', ...rows] = fileOf('data/synonyms.csv').trim().split('\n')
await served.project.write(
  'data/synonyms.csv',
  `${[head || EVEN_FEWER, ...rows.slice(1), '99,tea kettle'].join('\n')}\n`,
)
await served.project.sluice('run', SYNC)
const [run] = await served.project.runs()

const page = await browser.open({ width: 1280, height: 800 })
await picture(page, 'overview', '/')
await picture(page, 'run', `/runs/${run?.id ?? ''}`)
await picture(page, 'editor', `/syncs/${SYNC}/edit?step=requests`, () =>
  page.getByRole('region', { name: 'Live preview' }).getByText('objectID').first().waitFor(),
)
await picture(page, 'requests', '/requests?outcome=rejected', async () => {
  await page.getByRole('button', { name: /403/ }).first().click()
  await page.getByRole('region', { name: 'The request' }).waitFor()
})
await picture(page, 'row', `/syncs/${SYNC}/row?key=trousers`)

async function picture(of: Page, name: string, path: string, ready?: () => Promise<unknown>): Promise<void> {
  await of.goto(`${served.url}${path}`)
  await of.getByRole('heading', { level: 1 }).waitFor()
  await ready?.()
  await of.waitForLoadState('networkidle')
  await of.screenshot({ path: `${PICTURES}${name}.png` })
  process.stdout.write(`docs/pictures/${name}.png\n`)
}

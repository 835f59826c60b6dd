/**
 * Takes the pictures of the console that the docs show, of the example that the demo runs: `npm run
 * pictures`. The API refuses some rows, so that the pages have something to tell.
 */
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { buildWeb } from '../../services/console/web/build-web.mjs'
import { startBrowser } from './console-page.ts'
import { EXAMPLE_SYNC, exampleConsole } from './example-console.ts'

const PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))

await buildWeb()
await using example = await exampleConsole()
const { served } = example
await using browser = await startBrowser()
await mkdir(PICTURES, { recursive: true })
const [run] = await served.project.runs()

const page = await browser.open({ width: 1280, height: 800 })
await picture(page, 'overview', '/')
await picture(page, 'run', `/runs/${run?.id ?? ''}`)
await picture(page, 'requests', '/requests?outcome=rejected', async () => {
  await page.getByRole('button', { name: /403/ }).first().click()
  await page.getByRole('region', { name: 'The request' }).waitFor()
})
await picture(page, 'row', `/syncs/${EXAMPLE_SYNC}/row?key=trousers`)

// With room for a form, its YAML and the preview.
const wide = await browser.open({ width: 1600, height: 900 })
await picture(wide, 'editor', `/syncs/${EXAMPLE_SYNC}/edit?step=requests`, async () => {
  await wide.getByRole('region', { name: 'Live preview' }).getByText('objectID').first().waitFor()
  await wide.getByRole('region', { name: 'YAML' }).getByText('kind: sync').first().waitFor()
})

async function picture(of: Page, name: string, path: string, ready?: () => Promise<unknown>): Promise<void> {
  await of.goto(`${served.url}${path}`)
  await of.getByRole('heading', { level: 1 }).waitFor()
  await ready?.()
  await of.waitForLoadState('networkidle')
  await of.screenshot({ path: `${PICTURES}${name}.png` })
  process.stdout.write(`docs/pictures/${name}.png\n`)
}

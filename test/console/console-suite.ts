/**
 * The set-up of each file of tests of the console: a scripted API, a `sluice up`, and a browser with a page.
 */
import { startScriptedApi, type ScriptedApi, type ScriptedApiOptions } from '@sluice/testkit/scripted-api'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { servedConsole, startBrowser, type Looking, type ServedConsole } from './console-page.ts'

/** Its parts are there once the first test begins. */
export interface ConsoleSuite {
  readonly api: ScriptedApi
  readonly browser: Looking
  readonly served: ServedConsole
  readonly page: Page
}

interface SuiteOptions {
  /** The folder that is served. `API_URL` stands for the scripted API. */
  readonly files: { readonly [file: string]: string }
  readonly env?: { readonly [name: string]: string }
  readonly api?: ScriptedApiOptions
  /** Prepares what the tests find. */
  readonly prepare?: (suite: ConsoleSuite) => Promise<unknown>
}

/** Starts all of it before the tests of the file, and ends it after them. */
export function consoleSuite({ files, env = {}, api, prepare }: SuiteOptions): ConsoleSuite {
  const parts: { -readonly [part in keyof ConsoleSuite]?: ConsoleSuite[part] } = {}
  const suite: ConsoleSuite = {
    get api() {
      return started(parts.api)
    },
    get browser() {
      return started(parts.browser)
    },
    get served() {
      return started(parts.served)
    },
    get page() {
      return started(parts.page)
    },
  }
  beforeAll(async () => {
    parts.api = await startScriptedApi(api)
    const serving = servedConsole({ files, env: { API_URL: parts.api.url, ...env } })
    ;[parts.served, parts.browser] = await Promise.all([serving, startBrowser()])
    parts.page = await parts.browser.open()
    await prepare?.(suite)
  })
  afterAll(async () => {
    await parts.browser?.[Symbol.asyncDispose]()
    await parts.served?.[Symbol.asyncDispose]()
    await parts.api?.[Symbol.asyncDispose]()
  })
  return suite
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('This part starts before the first test.')
  return part
}

/** The text of a code editor. */
export function editorOf(page: Page, label: string): Locator {
  return page.locator(`[data-label="${label}"] .cm-content`)
}

/** Writes over what stands in a code editor, without the help that typed keys get. */
export async function writeInto(page: Page, label: string, text: string): Promise<void> {
  await editorOf(page, label).click()
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.insertText(text)
}

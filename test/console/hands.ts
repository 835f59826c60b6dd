/** The hands of somebody who sets up a sync by forms with a mouse. The page itself counts the clicks. */
import type { Locator, Page } from 'playwright-core'
import type { ResourcesPage, SecretsView } from '@sluice/contracts/api'
import { expect, onTestFinished } from 'vitest'
import { editorOf, type ConsoleSuite } from './console-suite.ts'

const MAX_CLICKS = 35
/** A run of a few requests on a busy machine. */
export const RUN_MS = 60_000

/**
 * Counts the clicks of a tab. A choice in a list takes two, and so does a file: one opens it, one chooses. A
 * click that misses since the page moves is taken back before it reaches the document, and tried again.
 */
const COUNTER = `
  const count = clicks => sessionStorage.setItem('clicks', Number(sessionStorage.getItem('clicks')) + clicks)
  document.addEventListener('click', ({ isTrusted }) => { if (isTrusted) count(1) }, { capture: true })
  addEventListener('change', ({ target }) => { if (target.matches('select, [type=file]')) count(2) }, { capture: true })`

/** The hands of somebody with a mouse, who clicks into each field before typing. */
export class Hands {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  readonly button = (name: string): Locator => this.page.getByRole('button', { name, exact: true })
  readonly field = (name: string): Locator => this.page.getByLabel(name, { exact: true })
  readonly preview = (): Locator => this.page.getByRole('region', { name: 'Live preview' })

  async fill(field: Locator | string, text: string): Promise<void> {
    const found = typeof field === 'string' ? this.field(field) : field
    await found.click()
    await found.fill(text)
  }

  async choose(field: string, option: string): Promise<void> {
    await this.field(field).selectOption(option)
  }

  /** Types each letter over the text of a code editor, so that its help with brackets takes part. */
  async rewrite(label: string, text: string): Promise<void> {
    await editorOf(this.page, label).click()
    await this.page.keyboard.press('ControlOrMeta+a')
    await this.page.keyboard.type(text)
    await this.page.keyboard.press('Escape')
    expect(await editorOf(this.page, label).innerText()).toBe(text)
  }

  async goTo(step: string): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name: step }).click()
  }

  async open(details: string): Promise<void> {
    await this.page.locator('summary').filter({ hasText: details }).click()
  }

  /**
   * Writes a secret into the vault from the field that names it. The page knows the hosts that it goes to.
   */
  async setSecret(button: Locator, value: string, hosts: readonly string[]): Promise<void> {
    await button.click()
    const dialog = this.page.getByRole('dialog', { name: 'Set a secret' })
    if (value !== '') await this.fill(dialog.getByLabel('Value'), value)
    const wanted = hosts.map(url => new URL(url).host).join(', ')
    await expect.poll(() => dialog.getByLabel('Hosts that it may go to').inputValue()).toBe(wanted)
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
  }

  async upload(button: string, files: { readonly [label: string]: string }): Promise<void> {
    await this.button(button).click()
    const dialog = this.page.getByRole('dialog', { name: /^Upload/ })
    for (const [label, content] of Object.entries(files)) {
      const file = { name: 'file.pem', mimeType: 'text/plain', buffer: Buffer.from(content) }
      await dialog.getByLabel(label, { exact: true }).setInputFiles(file)
    }
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
  }

  async useRows(name: string): Promise<void> {
    await this.goTo('Model')
    await this.page.getByRole('button', { name }).click()
  }

  async saveAndRun(sync: string, status = 'success'): Promise<void> {
    await this.goTo('Review')
    await this.button('Save and run').click()
    await this.page.getByRole('heading', { name: `Run of ${sync}` }).waitFor()
    await this.page.locator('.lead').getByText(status).waitFor({ timeout: RUN_MS })
  }

  /** `docs/CONSOLE.md` has the same figures. */
  async expectClicks(expected: number): Promise<void> {
    const clicks = Number(await this.page.evaluate(`sessionStorage.getItem('clicks')`))
    expect(clicks).toBe(expected)
    expect(clicks).toBeLessThan(MAX_CLICKS)
  }
}

/** Opens the form of a new sync in a tab of its own. */
export async function newSyncOf(suite: ConsoleSuite): Promise<Hands> {
  const page = await suite.browser.open()
  onTestFinished(() => page.context().close())
  await page.addInitScript(COUNTER)
  await page.goto(`${suite.served.url}/new`)
  return new Hands(page)
}

/** Removes all resources and secrets of the server. */
export async function emptied(suite: ConsoleSuite): Promise<void> {
  const at = `${suite.served.url}/api/v1`
  const remove = async (path: string): Promise<void> => {
    expect((await fetch(`${at}/${path}`, { method: 'DELETE' })).status).toBe(200)
  }
  const { resources } = (await (await fetch(`${at}/resources`)).json()) as ResourcesPage
  const { secrets } = (await (await fetch(`${at}/secrets`)).json()) as SecretsView
  for (const kind of ['sync', 'model', 'destination', 'source'])
    for (const { name } of resources.filter(each => each.kind === kind))
      await remove(`resources/${kind}/${name}`)
  for (const { name, kind } of secrets) await remove(`secrets/${name}?kind=${kind}`)
}

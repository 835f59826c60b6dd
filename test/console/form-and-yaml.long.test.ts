/** A form and its YAML are one text, whichever of them somebody writes into. */
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { expectAccessible } from './console-page.ts'
import { consoleSuite, editorOf, writeInto } from './console-suite.ts'

const suite = consoleSuite({
  files: { 'sluice.yaml': 'kind: project\nname: shop\n', 'customers.csv': 'id,name\n1,Ann\n' },
})
const LABEL = 'The destination as YAML'
const DESTINATION = `kind: destination
# The one of the shop
name: api
baseUrl: https://api.example.com # without /v2
limits:
  # Agreed in May
  rate: { requests: 100, per: second }
  concurrency: 10 # more is refused
`

const yaml = (page: Page) => editorOf(page, LABEL)
const perSecond = (page: Page) => page.getByLabel('Rate limit')
const linesOf = async (page: Page): Promise<string> =>
  (await yaml(page).locator('.cm-line').allInnerTexts()).map(line => line.replace(/\n$/, '')).join('\n')

/** An editor of a browser that keeps nothing of other tests. */
async function open(width: number): Promise<Page> {
  const page = await suite.browser.open({ width })
  await page.goto(`${suite.served.url}/new?step=destination`)
  await perSecond(page).waitFor()
  return page
}

describe('on a screen with room for both', () => {
  let page: Page
  beforeEach(async () => {
    page = await open(1280)
    await page.getByRole('button', { name: 'Show the YAML' }).click()
    await yaml(page).waitFor()
    await writeInto(page, LABEL, DESTINATION)
    return () => page.context().close()
  })

  it('shows an edit of the YAML in the form at once', async () => {
    expect(await page.getByLabel('Address of the API').inputValue()).toBe('https://api.example.com')
    await writeInto(page, LABEL, DESTINATION.replace('requests: 100', 'requests: 7'))
    await expect.poll(() => perSecond(page).inputValue()).toBe('7')
    await expectAccessible(page, 'the form beside its YAML')
  })

  it('shows an edit of the form in the YAML at once, and keeps each comment where it stands', async () => {
    await perSecond(page).fill('25')
    await page.getByLabel('Address of the API').fill('https://api.example.com/v2')
    const edited = DESTINATION.replace('100', '25').replace('.com #', '.com/v2 #')
    await expect.poll(() => linesOf(page)).toBe(edited)
  })

  it('keeps the comment and the place of a field that is emptied before it is typed anew', async () => {
    const concurrency = page.getByLabel('Concurrent requests')
    await concurrency.focus()
    await page.keyboard.press('End')
    await page.keyboard.press('Backspace')
    await page.keyboard.press('Backspace')
    expect(await concurrency.inputValue()).toBe('')
    expect(await linesOf(page)).toContain('# more is refused')
    await page.keyboard.type('42')
    await expect.poll(() => linesOf(page)).toBe(DESTINATION.replace('concurrency: 10', 'concurrency: 42'))
  })

  it('leaves the YAML scrolled to where it is when the form changes another line', async () => {
    const headers = Array.from({ length: 80 }, (_, index) => `  X-Header-${index}: some value\n`)
    await writeInto(page, LABEL, `${DESTINATION}headers:\n${headers.join('')}`)
    await yaml(page).getByText('X-Header-79').waitFor()
    const scrolled = async (): Promise<number> =>
      Number(
        await page.evaluate(
          `document.querySelector('[data-label="${LABEL}"]').shadowRoot.querySelector('.cm-scroller').scrollTop`,
        ),
      )
    const before = await scrolled()
    expect(before).toBeGreaterThan(500)
    await perSecond(page).fill('5')
    await page.getByText('5 requests per second', { exact: false }).waitFor()
    expect(await scrolled()).toBe(before)
  })

  it('takes every letter of a fast typist', async () => {
    await yaml(page).click()
    await page.keyboard.press('ControlOrMeta+End')
    const typed = 'idempotencyHeader: X-Request-Key-Of-The-Shop'
    await page.keyboard.type(typed, { delay: 3 })
    await expect.poll(() => linesOf(page)).toBe(`${DESTINATION}${typed}`)
  })

  it('sets a secret that stands beside other letters, and leaves these as they are', async () => {
    const headers = `headers: { Authorization: 'Bearer \${secret:old}' }\n`
    await writeInto(page, LABEL, DESTINATION + headers)
    await page.getByRole('button', { name: 'Set the secret' }).click()
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    await expect.poll(() => dialog.getByLabel('Name').inputValue()).toBe('old')
    await dialog.getByLabel('Name').fill('new')
    await dialog.getByLabel('Value').fill('a-token')
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(await page.getByLabel('Authorization', { exact: true }).inputValue()).toBe('Bearer ${secret:new}')
  })

  it('keeps the form as it was while the YAML cannot be read', async () => {
    await writeInto(page, LABEL, DESTINATION.replace('{ requests: 100,', '{ requests: 7, ['))
    await page.getByText('The YAML cannot be read as it is now.').waitFor()
    expect(await perSecond(page).inputValue()).toBe('100')
    expect(await perSecond(page).getAttribute('readonly')).not.toBeNull()
    await expectAccessible(page, 'a form that waits for its YAML')
    await writeInto(page, LABEL, DESTINATION.replace('100', '7'))
    await expect.poll(() => perSecond(page).inputValue()).toBe('7')
    expect(await perSecond(page).getAttribute('readonly')).toBeNull()
  })

  it('stays beside the form at other steps, and in the next editor', async () => {
    const step = page.getByRole('navigation', { name: 'Steps' })
    await step.getByRole('button', { name: 'Schedule and errors' }).click()
    await editorOf(page, 'The sync as YAML').waitFor()
    await page.getByLabel('Name of the sync').waitFor()
    await page.goto(`${suite.served.url}/new?step=source`)
    await editorOf(page, 'The source as YAML').waitFor()
    await page.getByRole('button', { name: 'Hide the YAML' }).click()
    await expect.poll(() => editorOf(page, 'The source as YAML').count()).toBe(0)
  })
})

it('stands between form and preview from the start on a wide screen', async () => {
  const page = await open(1600)
  const lefts = [perSecond(page), yaml(page), page.getByRole('region', { name: 'Live preview' })].map(
    async part => (await part.boundingBox())?.x ?? 0,
  )
  const [form = 0, text = 0, preview = 0] = await Promise.all(lefts)
  expect(form).toBeLessThan(text)
  expect(text).toBeLessThan(preview)
  await page.context().close()
})

it('takes the place of the form on a narrow screen, and gives it back', async () => {
  const page = await open(375)
  await page.getByRole('button', { name: 'Show the YAML' }).click()
  await yaml(page).waitFor()
  expect(await perSecond(page).count()).toBe(0)
  await writeInto(page, LABEL, DESTINATION)
  await page.getByRole('button', { name: 'Show the form' }).click()
  await perSecond(page).fill('9')
  expect(await yaml(page).count()).toBe(0)
  await page.getByRole('button', { name: 'Show the YAML' }).click()
  await expect.poll(() => linesOf(page)).toBe(DESTINATION.replace('100', '9'))
  await page.context().close()
})

it('is what its author wrote once it is saved, comments too, and where a form changed it since', async () => {
  const page = await open(1280)
  const steps = page.getByRole('navigation', { name: 'Steps' })
  await steps.getByRole('button', { name: 'Model' }).click()
  await page.getByRole('button', { name: 'customers.csv' }).click()
  await steps.getByRole('button', { name: 'Destination' }).click()
  await page.getByRole('button', { name: 'Show the YAML' }).click()
  await writeInto(page, LABEL, DESTINATION)
  const save = async (): Promise<void> => {
    await page.getByRole('button', { name: 'Review', exact: true }).click()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByRole('heading', { name: 'Settings' }).waitFor()
    await page.goto(`${suite.served.url}/syncs/customers/edit?step=destination`)
    await yaml(page).waitFor()
  }
  await save()
  expect(await linesOf(page)).toBe(DESTINATION)
  await perSecond(page).fill('25')
  await save()
  expect(await linesOf(page)).toBe(DESTINATION.replace('100', '25'))
  await page.getByRole('button', { name: 'Review', exact: true }).click()
  await page.getByText('Nothing differs from what the server has.').waitFor()
  await page.goto(`${suite.served.url}/resources/destination/api`)
  await editorOf(page, LABEL).getByText('# Agreed in May').waitFor()
  await page.context().close()
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

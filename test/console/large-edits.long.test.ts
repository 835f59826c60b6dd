/**
 * Typing in the editor of a large sync: a model of 500 columns, a body of 1 MB. No letter holds up the next.
 */
import type { Locator } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { longestBlock, MAX_BLOCKING_MS } from './blocking.ts'
import { consoleSuite, editorOf } from './console-suite.ts'

const COLUMNS = Array.from({ length: 499 }, (_, at) => `column_${at}`)
const SQL = ['select 1 as id', ...COLUMNS.map((name, at) => `${at} as ${name}`)].join(',\n  ')
/** A template of almost 200,000 characters, which is the most. Its six copies are a body of 1 MB. */
const LINES = Array.from({ length: 4_000 }, (_, at) => `{"item": ${at}, "text": "the text of an item"},`)
const BODY = [
  '{"id": {{ row.id | json }},',
  '"items": [{% for copy in (1..6) %}',
  ...LINES,
  '{% endfor %} {}]',
  '}',
]
/** As many letters as a person types in a few seconds. */
const LETTERS = 'thirty letters are typed here.'
const DELAY_MS = 60

const sync = (name: string, body: string): string => `---
kind: sync
name: ${name}
model: wide
destination: api
triggers:
  added:
    method: POST
    path: /items
    body:
${body}
`
const PROJECT = `kind: source
name: nothing
type: duckdb
path: .
---
kind: model
name: wide
source: nothing
sql: |
  ${SQL}
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
${sync('large', `      json: |\n${BODY.map(line => `        ${line}\n`).join('')}`)}
${sync('mapped', `      fields:\n${COLUMNS.map(name => `        ${name}: ${name}\n`).join('')}`)}
`

const suite = consoleSuite({ files: { 'project.yaml': PROJECT } })

/**
 * Types thirty letters at the end of the first line of a field, which then has them. Returns the longest time
 * for which the page could not answer.
 */
async function typing(field: Locator): Promise<number> {
  await field.waitFor()
  await field.focus()
  await suite.page.keyboard.press('ControlOrMeta+Home')
  await suite.page.keyboard.press('End')
  const longest = await longestBlock(suite.page, () => suite.page.keyboard.type(LETTERS, { delay: DELAY_MS }))
  const isEditor = (await field.getAttribute('contenteditable')) === 'true'
  expect(isEditor ? await field.textContent() : await field.inputValue()).toContain(LETTERS)
  return longest
}

const open = async (sync: string, step: string): Promise<void> => {
  await suite.page.goto(`${suite.served.url}/syncs/${sync}/edit?step=${step}`)
  await suite.page.getByRole('button', { name: 'Take it over' }).click()
  await suite.page
    .getByRole('region', { name: 'Live preview' })
    .getByText('up to date', { exact: true })
    .waitFor()
}

describe('a body of 1 MB with 500 columns', () => {
  it('takes each letter at once in the template', async () => {
    await open('large', 'requests')
    const editor = editorOf(suite.page, 'JSON template')
    expect(await typing(editor), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })

  it('takes each letter at once in another field', async () => {
    await open('large', 'requests')
    const path = suite.page.getByLabel('Path', { exact: true })
    expect(await typing(path), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })

  it('takes each letter at once in the YAML', async () => {
    await open('large', 'requests')
    await suite.page.getByRole('button', { name: 'Show the YAML' }).click()
    const yaml = editorOf(suite.page, 'The sync as YAML')
    expect(await typing(yaml), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
    await suite.page.getByRole('button', { name: 'Hide the YAML' }).click()
  })
})

describe('a map of 500 fields', () => {
  it('takes each letter at once', async () => {
    await open('mapped', 'requests')
    const path = suite.page.getByLabel('Path', { exact: true })
    expect(await typing(path), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
    const name = suite.page.getByLabel('Name of field 250', { exact: true })
    expect(await typing(name), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })

  it('offers all columns for each field', async () => {
    await suite.page.getByLabel('Name of field 100', { exact: true }).focus()
    for (const _ of ['its kind', 'its column']) await suite.page.keyboard.press('Tab')
    await suite.page.keyboard.type('column_417')
    expect(await suite.page.getByLabel('Column of column_99', { exact: true }).inputValue()).toBe(
      'column_417',
    )
  })
})

describe('a model of 500 columns', () => {
  it('takes each letter at once in the settings of its sync', async () => {
    await open('mapped', 'behaviour')
    const title = suite.page.getByLabel('Title', { exact: true })
    expect(await typing(title), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })

  // The page keeps the query with its letters, which no preview can read. So this test is the last one.
  it('takes each letter at once in its query', async () => {
    await open('mapped', 'model')
    await suite.page.getByRole('button', { name: 'Change it for all 2 syncs' }).click()
    const query = editorOf(suite.page, 'SQL of the model')
    expect(await typing(query), 'ms of one task').toBeLessThanOrEqual(MAX_BLOCKING_MS)
  })
})

it('has met no script error', () => {
  expect(suite.browser.complaints).toEqual([])
})

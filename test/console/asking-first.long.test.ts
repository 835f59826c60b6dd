/** Before what cannot be undone, a page asks. Nothing is sent until somebody has said yes. */
import type { Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'

const SOON = { timeout: 20_000 }
const FILES = { 'people.csv': 'id,name\n1,Ann\n2,Bob\n3,Cyd\n' }
const GUARDED = peopleYaml({ sync: 'removalGuard: { share: 0.5, rows: 1 }' })

let running = ''
let held = ''
const hanging = Promise.withResolvers<object>()
const suite = consoleSuite({
  files: { 'project.yaml': GUARDED, ...FILES },
  prepare: async ({ api, served: { project } }) => {
    api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
    api.on({ url: '/people/3' }, { status: 422, body: '{"error":"no"}' })
    await project.sluiceWith('a-secret', 'secret', 'set', 'spare', '--for', 'api.example.com')
    await project.sluice('run', 'people')
  },
})

let page: Page
let asked: string[] = []
beforeEach(async () => {
  page = await suite.browser.open()
  asked = []
  page.on('request', request => {
    const { pathname } = new URL(request.url())
    if (request.method() !== 'GET' && !/\/(preview|rows|diff)$/.test(pathname))
      asked.push(`${request.method()} ${pathname.replace('/api/v1', '')}`)
  })
})
afterEach(() => page.context().close())

const runNamed = (id: () => string) => (): string => `/runs/${id()}`

interface Case {
  readonly what: string
  readonly path: () => string
  readonly open: string | RegExp
  /** The button that leaves it; default: `Cancel`. */
  readonly leave?: string
  readonly yes: string
  readonly typed?: string
  readonly sends: () => string
  /** Prepares the page. */
  readonly prepare?: () => Promise<unknown>
  readonly after?: () => unknown
}

/** A run of which one request is not answered. */
async function runThatHangs(): Promise<void> {
  const { api, served } = suite
  const ask = async (path: string, init: RequestInit = {}): Promise<{ id: string; status: string }> =>
    (await (await fetch(`${served.url}/api/v1${path}`, init)).json()) as { id: string; status: string }
  const anotherRun = (): Promise<{ id: string }> =>
    ask('/syncs/people/runs', {
      ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
    })
  api.on({ url: '/people/4' }, () => hanging.promise)
  await served.project.write('people.csv', `${FILES['people.csv']}4,Dee\n`)
  running = (await anotherRun()).id
  // It is refused while rows are queued to be discarded.
  const statusNow = async (): Promise<string> => {
    const { status } = await ask(`/runs/${running}`)
    if (status !== 'queued' && status !== 'running') running = (await anotherRun()).id
    return status
  }
  await expect.poll(statusNow, { timeout: 60_000, interval: 500 }).toBe('running')
  await api.waitFor(requests => requests.some(({ url }) => url === '/people/4'))
}

/** A run that would remove all that was delivered. */
async function runThatIsHeld(): Promise<void> {
  const { project } = suite.served
  await project.write('people.csv', 'id,name\n')
  await project.sluice('run', 'people')
  held = (await project.runs()).find(({ status }) => status === 'held')?.id ?? ''
}

const CASES: readonly Case[] = [
  {
    ...{ what: 'discarding a row', path: () => '/syncs/people/row?key=2' },
    ...{ open: 'Discard…', yes: 'Discard', sends: () => 'POST /syncs/people/discard' },
  },
  {
    ...{ what: 'retrying rows', path: () => '/syncs/people' },
    ...{ open: 'Retry all…', yes: 'Retry', sends: () => 'POST /syncs/people/retry' },
  },
  {
    ...{ what: 'discarding rows', path: () => '/syncs/people' },
    ...{ open: 'Discard all…', yes: 'Discard', sends: () => 'POST /syncs/people/discard' },
  },
  {
    ...{ what: 'cancelling a run', path: runNamed(() => running), prepare: runThatHangs },
    ...{
      open: 'Cancel this run',
      leave: 'Let it go on',
      yes: 'Cancel the run',
      sends: () => `POST /runs/${running}/cancel`,
    },
    after: () => hanging.resolve({}),
  },
  {
    ...{ what: 'approving removals', path: runNamed(() => held), prepare: runThatIsHeld },
    ...{ open: /^Remove \d+ rows?…$/, yes: 'Remove', sends: () => `POST /runs/${held}/approve` },
  },
  {
    ...{ what: 'a resync', path: () => '/syncs/people' },
    ...{ open: 'Resync…', yes: 'Send every row', sends: () => 'POST /syncs/people/resync' },
  },
  {
    ...{ what: 'a reset', path: () => '/syncs/people', typed: 'people' },
    ...{ open: 'Reset…', yes: 'Forget it', sends: () => 'POST /syncs/people/reset' },
  },
  {
    ...{ what: 'removing a secret', path: () => '/secrets' },
    ...{ open: 'Remove spare', yes: 'Remove it', sends: () => 'DELETE /secrets/spare' },
  },
  {
    ...{ what: 'removing a resource', path: () => '/resources/sync/people', typed: 'people' },
    ...{ open: 'Remove…', yes: 'Remove the sync', sends: () => 'DELETE /resources/sync/people' },
  },
]

describe('what goes only after a question', () => {
  it.each(CASES)(
    '$what',
    async ({ what, path, open, leave = 'Cancel', yes, typed, sends, prepare, after }) => {
      await prepare?.()
      await page.goto(`${suite.served.url}${path()}`)
      const dialog = page.getByRole('dialog')
      await page.getByRole('button', { name: open }).first().click()
      await expectAccessible(page, `the question before ${what}`)
      await dialog.getByRole('button', { name: leave }).click()
      await page.getByRole('button', { name: open }).first().click()
      await page.keyboard.press('Escape')
      await expect.poll(() => dialog.count()).toBe(0)
      expect(asked).toEqual([])
      await page.getByRole('button', { name: open }).first().click()
      const confirm = dialog.getByRole('button', { name: yes })
      if (typed !== undefined) {
        expect(await confirm.isDisabled()).toBe(true)
        await dialog.getByRole('textbox').fill(typed)
      }
      await confirm.click()
      await expect.poll(() => asked, SOON).toEqual([sends()])
      // It stays, and says why, if the server refuses.
      await expect.poll(() => dialog.allTextContents(), SOON).toEqual([])
      after?.()
    },
  )
})

describe('a draft', () => {
  const concurrency = () => page.getByLabel('Concurrent requests')

  beforeEach(async () => {
    await page.goto(`${suite.served.url}/new?step=destination`)
    await page.getByLabel('Use this destination').selectOption('A new one')
    await concurrency().fill('77')
    await page.getByRole('button', { name: 'Review' }).click()
    await page.getByRole('button', { name: 'Discard changes…' }).click()
  })

  const back = async (): Promise<string> => {
    await page.goto(`${suite.served.url}/new?step=destination`)
    return await concurrency().inputValue()
  }

  it('is still there for whoever does not discard it', async () => {
    const question = page.getByRole('dialog', { name: 'Discard what you have changed?' })
    await expectAccessible(page, 'the question before a draft goes')
    await question.getByRole('button', { name: 'Cancel' }).click()
    expect(await back()).toBe('77')
    await page.getByText('What you had typed here before is back.').waitFor()
  })

  it('goes once somebody has said so, for good', async () => {
    const question = page.getByRole('dialog', { name: 'Discard what you have changed?' })
    await question.getByRole('button', { name: 'Discard changes' }).click()
    await expect.poll(() => question.count()).toBe(0)
    await page.goto(`${suite.served.url}/new?step=destination`)
    await page.getByLabel('Use this destination').waitFor()
    expect(await concurrency().count()).toBe(0)
    expect(asked).toEqual([])
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

/**
 * People at a console: two at once, keys alone, tokens, sessions that end, a server that restarts.
 */
import { CLIENT_ID, CLIENT_SECRET, startOidcServer, type OidcServer } from '@sluice/testkit/oidc-server'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import {
  expectAccessibleInAllColours,
  servedConsole,
  startBrowser,
  type Looking,
  type ServedConsole,
} from './console-page.ts'
import { editorOf, writeInto } from './console-suite.ts'

const TOKEN = 'a-token-that-may-do-all'
const READ_TOKEN = 'a-token-that-may-only-read'

let api: ScriptedApi
let browser: Looking
let open: ServedConsole
let guarded: ServedConsole
beforeAll(async () => {
  api = await startScriptedApi()
  browser = await startBrowser()
  const files = { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n2,Bob\n' }
  open = await servedConsole({ files, env: { API_URL: api.url } })
  const tokens = { SLUICE_TOKEN: TOKEN, SLUICE_READ_TOKEN: READ_TOKEN }
  guarded = await servedConsole({ files, env: { API_URL: api.url, ...tokens } })
})
afterAll(async () => {
  await browser[Symbol.asyncDispose]()
  await Promise.all([open, guarded].map(served => served[Symbol.asyncDispose]()))
  await api[Symbol.asyncDispose]()
})

const signIn = async (page: Page, token: string): Promise<void> => {
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** Edits the destination's limit and saves it. */
async function edit(page: Page, requests: string): Promise<void> {
  await page.getByLabel('Rate limit').fill(requests)
  await page.getByRole('button', { name: 'Review' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
}

describe('two people who edit the same', () => {
  it('both see what the other has done, and the second decides', async () => {
    const [one, other] = await Promise.all([browser.open(), browser.open()])
    const path = `${open.url}/syncs/people/edit?step=destination`
    await Promise.all([one.goto(path), other.goto(path)])
    for (const page of [one, other]) {
      const takeOver = page.getByRole('button', { name: 'Take it over' })
      await page.getByLabel('Rate limit').waitFor()
      if ((await takeOver.count()) > 0) await takeOver.click()
    }
    await edit(one, '11')
    await one.getByText('people is saved').waitFor()
    await edit(other, '22')
    const conflict = other.getByRole('dialog', { name: /Somebody else has changed/ })
    await conflict.getByText(/requests: 11/).waitFor()
    await conflict.getByText(/requests: 22/).waitFor()
    await conflict.getByRole('button', { name: 'Save mine over theirs' }).click()
    await other.getByText('people is saved').waitFor()
    await one.goto(`${open.url}/resources/destination/api`)
    await one.getByText('Version', { exact: false }).first().waitFor()
    await one.context().close()
    await other.context().close()
  })
})

describe('somebody who comes back to what they had typed', () => {
  it('is shown what others have saved meanwhile, before theirs takes its place', async () => {
    const page = await browser.open()
    await page.goto(`${open.url}/syncs/people/edit?step=destination`)
    const takeOver = page.getByRole('button', { name: 'Take it over' })
    const limit = page.getByLabel('Rate limit')
    await limit.waitFor()
    if ((await takeOver.count()) > 0) await takeOver.click()
    await limit.fill('44')
    const put = (kind: string, spec: object) =>
      fetch(`${open.url}/api/v1/resources/${kind}`, {
        ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ spec, takeOver: true }),
      })
    const limits = { rate: { requests: 33, per: 'second' } }
    expect((await put('destination/api', { baseUrl: api.url, limits })).status).toBe(200)
    const model = { source: 'files', sql: "select id, name from 'people.csv' order by id", primaryKey: 'id' }
    expect((await put('model/people', model)).status).toBe(200)
    await page.reload()
    await page.getByText('What you had typed here before is back.').waitFor()
    expect(await limit.inputValue()).toBe('44')
    await page.getByRole('button', { name: 'Review' }).click()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    const conflict = page.getByRole('dialog', { name: /Somebody else has changed/ })
    await conflict.getByText(/requests: 33/).waitFor()
    await conflict.getByText(/requests: 44/).waitFor()
    await conflict.getByRole('button', { name: 'Save mine over theirs' }).click()
    await page.getByText('people is saved').waitFor()
    // A field that was not typed into here stays as the other person has saved it.
    const kept = await (await fetch(`${open.url}/api/v1/resources/model/people`)).text()
    expect(kept).toContain('order by id')
    await page.context().close()
  })
})

describe('somebody with two tabs of one editor', () => {
  it('finds both drafts again, each in its tab, and in a new tab the draft of one that was closed', async () => {
    const one = await browser.open()
    const other = await one.context().newPage()
    const tabs = [
      [one, '41'],
      [other, '42'],
    ] as const
    const limit = (page: Page) => page.getByLabel('Rate limit')
    for (const [page, requests] of tabs) {
      await page.goto(`${open.url}/syncs/people/edit?step=destination`)
      await limit(page).waitFor()
      const takeOver = page.getByRole('button', { name: 'Take it over' })
      if ((await takeOver.count()) > 0) await takeOver.click()
      await limit(page).fill(requests)
    }
    const isBack = async (page: Page, requests: string): Promise<void> => {
      await page.getByText('What you had typed here before is back.').waitFor()
      expect(await limit(page).inputValue()).toBe(requests)
    }
    for (const [page, requests] of tabs) {
      await page.reload()
      await isBack(page, requests)
    }
    await other.close()
    const third = await one.context().newPage()
    await third.goto(`${open.url}/syncs/people/edit?step=destination`)
    await isBack(third, '42')
    await one.context().close()
  })
})

describe('a resource that is written as YAML', () => {
  const yaml = 'The destination as YAML'

  it('is still there after the page was left, and shows both versions if another has saved', async () => {
    const page = await browser.open()
    const path = `${open.url}/resources/destination/api`
    await page.goto(path)
    const written = `kind: destination\nname: api\nbaseUrl: ${api.url} # mine\nlimits: { concurrency: 7 }\n`
    await editorOf(page, yaml).waitFor()
    await writeInto(page, yaml, written)
    await expect.poll(() => page.getByRole('button', { name: 'Save' }).isEnabled()).toBe(true)
    const answer = await fetch(`${open.url}/api/v1/resources/destination/api`, {
      ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ spec: { baseUrl: api.url, limits: { concurrency: 5 } } }),
    })
    expect(answer.status).toBe(200)
    await page.goto(path)
    await editorOf(page, yaml).getByText('# mine').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    const conflict = page.getByRole('dialog', { name: /Somebody else has changed/ })
    await conflict.getByText(/concurrency: 5/).waitFor()
    await conflict.getByRole('button', { name: 'Go on editing mine' }).click()
    await page.getByRole('button', { name: 'Throw it away…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Throw it away' }).click()
    await editorOf(page, yaml).getByText('concurrency: 5').waitFor()
    await page.reload()
    await editorOf(page, yaml).getByText('concurrency: 5').waitFor()
    expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
    await page.context().close()
  })
})

describe('a resource that is edited in its form', () => {
  it('shows both versions, also if the page has seen the other one while somebody typed', async () => {
    const page = await browser.open()
    await page.goto(`${open.url}/resources/destination/api/edit`)
    const takeOver = page.getByRole('button', { name: 'Take it over' })
    await page.getByLabel('Rate limit').waitFor()
    if ((await takeOver.count()) > 0) await takeOver.click()
    await page.getByLabel('Rate limit').fill('51')
    const path = '/api/v1/resources/destination/api'
    const answer = await fetch(`${open.url}${path}`, {
      ...{ method: 'PUT', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ spec: { baseUrl: api.url, limits: { concurrency: 6 } }, takeOver: true }),
    })
    expect(answer.status).toBe(200)
    const seen = page.waitForResponse(each => each.url().endsWith(path))
    // A window that comes to the front asks again.
    await page.evaluate("window.dispatchEvent(new Event('visibilitychange'))")
    expect(await (await seen).text()).toContain('"concurrency":6')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    const conflict = page.getByRole('dialog', { name: /Somebody else has changed/ })
    await conflict.getByText(/concurrency: 6/).waitFor()
    await conflict.getByText(/requests: 51/).waitFor()
    await conflict.getByRole('button', { name: 'Go on editing mine' }).click()
    await page.getByRole('button', { name: 'Discard changes' }).click()
    await expect.poll(() => page.getByLabel('Concurrent requests').inputValue()).toBe('6')
    expect(await page.getByRole('button', { name: 'Save', exact: true }).isDisabled()).toBe(true)
    await page.context().close()
  })
})

describe('somebody without a mouse', () => {
  it('finds a sync by its letters, runs it, and comes back', async () => {
    const page = await browser.open()
    await page.goto(open.url)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('k')
    await page.getByRole('combobox', { name: /^Find/ }).waitFor()
    await page.keyboard.type('run people')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Run of people' }).waitFor()
    await page.getByText('success').first().waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('o')
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.keyboard.press('/')
    // A field that is drawn anew under the typing hands lets the next keys fall on the page.
    await page.evaluate('document.activeElement.replaceWith(document.activeElement.cloneNode())')
    await page.keyboard.type('ngr')
    expect(new URL(page.url()).pathname).toBe('/')
    await page.reload()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('nothing like it')
    await page.getByText('No sync fits these filters.').waitFor()
    await page.context().close()
  })
})

describe('a server with tokens', () => {
  it('shows nothing before somebody signs in, and keeps them signed in', async () => {
    const page = await browser.open()
    await page.goto(`${guarded.url}/runs`)
    await page.getByRole('heading', { name: 'Sign in to Sluice' }).waitFor()
    await signIn(page, 'not-a-token-of-this-server')
    await page.getByRole('alert').waitFor()
    await signIn(page, TOKEN)
    await page.getByRole('heading', { name: 'Runs' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Runs' }).waitFor()
    await page.context().close()
  })

  it('lets a token that only reads look at everything and change nothing', async () => {
    const page = await browser.open()
    await page.goto(guarded.url)
    await signIn(page, READ_TOKEN)
    const run = page.getByRole('button', { name: 'Run people now' })
    await run.waitFor()
    expect(await run.isDisabled()).toBe(true)
    // A visitor who makes the button work all the same is refused by the server.
    const status = await page.evaluate(
      `fetch('/api/v1/syncs/people/runs', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then(({ status }) => status)`,
    )
    expect(status).toBe(403)
    await page.context().close()
  })

  it('loses nothing that was typed when the session ends', async () => {
    const page = await browser.open()
    await page.goto(`${guarded.url}/syncs/people/edit?step=destination`)
    await signIn(page, TOKEN)
    const take = page.getByRole('button', { name: 'Take it over' })
    const limit = page.getByLabel('Rate limit')
    await limit.waitFor()
    if ((await take.count()) > 0) await take.click()
    await limit.fill('77')
    await page.context().clearCookies()
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor()
    await signIn(page, TOKEN)
    await expect.poll(() => page.getByRole('heading', { name: 'Your session has ended' }).count()).toBe(0)
    expect(await limit.inputValue()).toBe('77')
    await page.reload()
    expect(await limit.inputValue()).toBe('77')
    await page.context().close()
  })
})

describe('a server with an OpenID provider', () => {
  let provider: OidcServer
  let known: ServedConsole
  beforeAll(async () => {
    // Another name of this machine makes it another site, as providers are.
    const claims = { email: 'ann@example.com', email_verified: true, groups: ['data'] }
    const redirectUri = 'http://127.0.0.1/sign-in/callback'
    provider = await startOidcServer({ host: 'localhost', claims, redirectUri })
    const files = { 'project.yaml': peopleYaml(), 'people.csv': 'id,name\n1,Ann\n2,Bob\n' }
    const env = {
      ...{ API_URL: api.url, SLUICE_TOKEN: TOKEN, SLUICE_OIDC_ISSUER: provider.url },
      ...{ SLUICE_OIDC_CLIENT_ID: CLIENT_ID, SLUICE_OIDC_CLIENT_SECRET: CLIENT_SECRET },
      SLUICE_OIDC_ROLES: 'data view,read,edit,run',
    }
    known = await servedConsole({ files, env })
  })
  afterAll(async () => {
    await known[Symbol.asyncDispose]()
    await provider[Symbol.asyncDispose]()
  })
  const button = (page: Page) => page.getByRole('button', { name: /^Sign in with localhost/ })

  it('signs a person in, brings them back to their page, and names them in the audit', async () => {
    const page = await browser.open()
    await page.goto(`${known.url}/runs?sync=people`)
    await button(page).waitFor()
    await page.getByLabel('Token', { exact: true }).waitFor()
    await expectAccessibleInAllColours(page, 'a sign-in with a provider')
    await button(page).click()
    await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor()
    expect(page.url()).toBe(`${known.url}/runs?sync=people`)
    await page.getByRole('button', { name: 'Sign out (ann@example.com)' }).waitFor()
    await page.goto(known.url)
    await page.getByRole('button', { name: 'Run people now' }).click()
    await page.getByText('success').first().waitFor()
    await page.goto(`${known.url}/audit?by=${encodeURIComponent('ann@example.com')}`)
    await page.getByText('ran the sync').waitFor()
    expect(await page.getByRole('row', { name: 'ann@example.com' }).count()).toBe(1)
    await page.getByRole('button', { name: 'Sign out (ann@example.com)' }).click()
    await button(page).waitFor()
    await page.context().close()
  })

  it.each([
    ['a sync', '/syncs/people/edit?step=destination', 'Rate limit', '77'],
    ['a destination', '/resources/destination/api/edit', 'Rate limit', '78'],
    ['a new source', '/new/source', 'Folder, or .duckdb file', './elsewhere'],
  ])('brings back what was typed for %s before the session ended', async (_what, path, label, text) => {
    const page = await browser.open()
    await page.goto(`${known.url}${path}`)
    await signIn(page, TOKEN)
    const field = page.getByLabel(label, { exact: true })
    await field.waitFor()
    const take = page.getByRole('button', { name: 'Take it over' })
    if ((await take.count()) > 0) await take.click()
    await field.fill(text)
    await page.context().clearCookies()
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor()
    await page.getByText('what you typed in an editor comes back with it').waitFor()
    await button(page).click()
    await page.getByRole('button', { name: 'Sign out (ann@example.com)' }).waitFor()
    expect(page.url()).toBe(`${known.url}${path}`)
    await expect.poll(() => field.inputValue()).toBe(text)
    await page.context().close()
  })

  it('says why a person is not let in, and offers the sign-in again', async () => {
    const page = await browser.open({ width: 375 })
    await page.goto(known.url)
    provider.alter(token => ({ ...token, claims: { ...token.claims, groups: ['others'] } }))
    await button(page).click()
    await page.getByRole('alert').getByText('ann@example.com').waitFor()
    expect(page.url()).toBe(`${known.url}/sign-in/callback`)
    await expectAccessibleInAllColours(page, 'a sign-in that was refused')
    provider.alter(null)
    await page.getByRole('link', { name: 'Back to the sign-in' }).click()
    await button(page).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.context().close()
  })
})

describe('a server that restarts in the middle of a run', () => {
  it('is said to be away, and the page goes on by itself', async () => {
    const page = await browser.open()
    const released = Promise.withResolvers<object>()
    api.on({ url: '/people/3' }, () => released.promise)
    await open.project.write('people.csv', 'id,name\n1,Ann\n2,Bob\n3,Cyd\n')
    await page.goto(open.url)
    await page.getByRole('button', { name: 'Run people now' }).click()
    await page.getByRole('heading', { name: 'Run of people' }).waitFor()
    await api.waitFor(requests => requests.some(({ url }) => url === '/people/3'))
    const stopped = open.stop()
    released.resolve({})
    await stopped
    await page
      .getByText(/does not answer|connection is lost/)
      .first()
      .waitFor()
    await open.start()
    // The run that the server left has ended, and the page knows.
    await page.getByRole('button', { name: 'Run people now' }).waitFor()
    await page.context().close()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(browser.complaints).toEqual([])
})

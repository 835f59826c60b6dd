/** People set up a sync with a sample, the times of a schedule, logins, certificates. */
import { asPfx, makeCertificate } from '@sluice/testkit/make-certificates'
import { CLIENT_ID, CLIENT_SECRET, startOidcServer } from '@sluice/testkit/oidc-server'
import type { Page } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { peopleYaml } from '../e2e/people-project.ts'
import { expectAccessible, servedConsole } from './console-page.ts'
import { consoleSuite, writeInto } from './console-suite.ts'

const suite = consoleSuite({ files: { 'sluice.yaml': 'kind: project\nname: shop\n' } })

/** The secrets of the vault. No value of it ever comes back. */
async function secrets(): Promise<readonly { readonly name: string }[]> {
  const text = await (await fetch(`${suite.served.url}/api/v1/secrets`)).text()
  expect(text).not.toContain('BEGIN')
  return (JSON.parse(text) as { secrets: { name: string }[] }).secrets
}

const makeSample = async (to?: string): Promise<void> => {
  await suite.page.goto(suite.served.url)
  await suite.page.getByRole('button', { name: 'Make the sample project…' }).click()
  const dialog = suite.page.getByRole('dialog', { name: 'Make the sample project?' })
  await dialog.getByText('sample-receiver').waitFor()
  if (to === undefined) await expectAccessible(suite.page, 'the question about the sample')
  else await dialog.getByLabel('It sends to').fill(to)
  await dialog.getByRole('button', { name: 'Make it' }).click()
  await suite.page.getByRole('heading', { name: 'sample-customers', level: 1 }).waitFor()
}

const runSample = async (): Promise<void> => {
  await suite.page.getByRole('button', { name: 'Run sample-customers now' }).click()
  await suite.page.getByRole('heading', { name: 'Run of sample-customers' }).waitFor()
  await suite.page.getByText('success').first().waitFor()
}

const removeSample = async (): Promise<void> => {
  await suite.page.goto(suite.served.url)
  await suite.page.getByRole('button', { name: 'Remove the sample…' }).click()
  await suite.page.getByRole('button', { name: 'Remove it' }).click()
  await suite.page.getByText('The sample project is gone.').waitFor()
  await suite.page.getByRole('heading', { name: 'Set up your first sync' }).waitFor()
}

describe('the sample project', () => {
  it('is made by one click, and delivers to the server itself', async () => {
    await makeSample()
    await runSample()
    const { stdout } = await suite.served.project.sluice('attempts', '--json')
    const { attempts } = JSON.parse(stdout) as {
      attempts: { status: number; url: string; responseBody: string }[]
    }
    expect(attempts).toHaveLength(3)
    for (const { status, url } of attempts) {
      expect(status).toBe(200)
      expect(url).toBe(`${suite.served.url}/api/v1/sample/receiver/customers`)
    }
    expect(attempts.map(({ responseBody }) => responseBody).join()).toContain('ada@example.com')
  })

  it('goes without a trace, and sends to an address of somebody’s own', async () => {
    await removeSample()
    const { resources } = (await (await fetch(`${suite.served.url}/api/v1/resources`)).json()) as {
      resources: unknown[]
    }
    expect(resources).toEqual([])
    await makeSample(suite.api.url)
    await runSample()
    expect(suite.api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /customers',
      'POST /customers',
      'POST /customers',
    ])
    await removeSample()
  })

  it('takes nothing that is somebody else’s for its own', async () => {
    const path = `${suite.served.url}/api/v1/resources/destination/sample-receiver`
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ spec: { baseUrl: 'https://example.com' } })
    expect((await fetch(path, { method: 'PUT', headers, body })).status).toBe(200)
    await suite.page.goto(suite.served.url)
    await suite.page.getByRole('button', { name: 'Make the sample project…' }).click()
    await suite.page.getByRole('button', { name: 'Make it' }).click()
    const told = suite.page.getByRole('dialog').getByRole('alert')
    await told.waitFor()
    expect(await told.innerText()).toMatch(/sample-receiver is at version/)
    const { resources } = (await (await fetch(`${suite.served.url}/api/v1/resources`)).json()) as {
      resources: { name: string; spec: { baseUrl: string } }[]
    }
    expect(resources).toMatchObject([{ name: 'sample-receiver', spec: { baseUrl: 'https://example.com' } }])
    await fetch(path, { method: 'DELETE' })
  })
})

describe('the schedule of a sync', () => {
  it('shows its next five times as it is typed, and what is wrong with it', async () => {
    await suite.page.goto(`${suite.served.url}/new?step=behaviour`)
    await suite.page.getByRole('combobox', { name: /^Schedule/ }).selectOption('cron')
    await suite.page.getByLabel('Time zone').fill('Asia/Tokyo')
    const times = suite.page.locator('.next-times')
    await times.getByText('in Asia/Tokyo').waitFor()
    await suite.page.getByRole('textbox', { name: 'Cron' }).fill('0 9 * * mon')
    await expect.poll(async () => await times.locator('li').allInnerTexts()).toHaveLength(5)
    await expect
      .poll(async () =>
        (await times.locator('time').allInnerTexts()).every(text => /^Mon.*09:00:00$/.test(text)),
      )
      .toBe(true)
    await expectAccessible(suite.page, 'the times of a schedule')
    await suite.page.getByRole('textbox', { name: 'Cron' }).fill('99 9 * * mon')
    await suite.page.locator('.field-error').first().waitFor()
    await suite.page.getByRole('combobox', { name: /^Schedule/ }).selectOption('manual')
    await expect.poll(async () => await times.count()).toBe(0)
  })
})

describe('a destination that somebody logs in to', () => {
  it('is logged in to from its page, and by whoever began it alone', async () => {
    await using idp = await startOidcServer({ redirectUri: 'http://127.0.0.1/login/callback' })
    const oauth2 = [
      `grant: authorization-code, tokenUrl: '${idp.tokenUrl}', authorizationUrl: '${idp.authorizationUrl}'`,
      `clientId: ${CLIENT_ID}, clientSecret: '\${secret:client}', scopes: [openid, offline_access]`,
      `authorizationParams: { prompt: consent }`,
    ].join(', ')
    const [token, secret] = ['a-token-that-may-do-all', CLIENT_SECRET]
    await using guarded = await servedConsole({
      files: { 'project.yaml': peopleYaml({ destination: `auth: { oauth2: { ${oauth2} } }` }) },
      env: {
        ...{ API_URL: suite.api.url, SLUICE_TOKEN: token },
        ...{ SLUICE_SECRET_CLIENT: secret, SLUICE_SECRET_CLIENT_FOR: '127.0.0.1' },
      },
    })
    const own = await suite.browser.open()
    await own.goto(`${guarded.url}/resources/destination/api`)
    await own.getByLabel('Token', { exact: true }).fill(token)
    await own.getByRole('button', { name: 'Sign in' }).click()
    await own.getByText('Nobody has logged in yet').waitFor()
    await expectAccessible(own, 'a destination without a login')
    await own.getByRole('button', { name: 'Log in…' }).click()
    const dialog = own.getByRole('dialog', { name: 'Log in to api' })
    await dialog.getByText(`${new URL(idp.tokenUrl).host} then gets the code`).waitFor()
    const [opened] = await Promise.all([
      own.context().waitForEvent('page'),
      dialog.getByRole('link', { name: /^Log in at 127\.0\.0\.1/ }).click(),
    ])
    await opened.getByText('You are logged in to api.').waitFor()
    expect(new URL(opened.url()).origin).toBe(guarded.url)
    expect(idp.tokenRequests.map(request => request.get('grant_type'))).toEqual(['authorization_code'])
    // The same end of a login again, as somebody might send it to another.
    await opened.reload()
    await opened.getByText('No such login was begun in this browser').waitFor()
    await own.reload()
    await own.getByRole('button', { name: 'Log in again…' }).waitFor()
    await own.context().close()
  })
})

describe('a certificate of a client', () => {
  it('goes from its files to the vault, and is shown nowhere', async () => {
    const { cert, key } = makeCertificate({ name: 'client' })
    await suite.page.goto(`${suite.served.url}/new?step=destination`)
    await suite.page.getByText('Certificates', { exact: true }).click()
    await suite.page.getByRole('button', { name: 'Upload a client certificate…' }).click()
    const dialog = suite.page.getByRole('dialog', { name: 'Upload a client certificate' })
    const file = (name: string, text: string) => ({
      ...{ name, mimeType: 'text/plain' },
      buffer: Buffer.from(text),
    })
    await dialog.getByLabel('Certificate', { exact: true }).setInputFiles(file('cert.pem', cert))
    await dialog.getByLabel('Its key').setInputFiles(file('key.pem', 'no key'))
    await expectAccessible(suite.page, 'a certificate that is uploaded')
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.getByText('key.pem is no private key in PEM').waitFor()
    const other = makeCertificate({ name: 'other' })
    await dialog.getByLabel('Its key').setInputFiles(file('key.pem', other.key))
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.getByText('it does not belong to the certificate').waitFor()
    expect(await secrets()).toEqual([])
    await dialog.getByLabel('Its key').setInputFiles(file('key.pem', key))
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(await suite.page.getByLabel('Its key (PEM)').inputValue()).toBe('${secret:api-key}')
    expect(await secrets()).toMatchObject([
      { name: 'api-cert', for: 'api.example.com' },
      { name: 'api-key', for: 'api.example.com' },
    ])
  })

  it('in one PKCS #12 file takes their place, once its passphrase opens it', async () => {
    const pfx = Buffer.from(asPfx(makeCertificate({ name: 'client' }), 'opens-it'), 'base64')
    await suite.page.getByRole('button', { name: 'Upload a client certificate…' }).click()
    const dialog = suite.page.getByRole('dialog', { name: 'Upload a client certificate' })
    await dialog.getByLabel('Form').selectOption('pfx')
    const given = { name: 'client.p12', mimeType: 'application/x-pkcs12', buffer: pfx }
    await dialog.locator('input[type=file]').setInputFiles(given)
    await dialog.getByLabel(/^Passphrase/).fill('a wrong one')
    const keep = dialog.getByRole('button', { name: 'Keep it in the vault' })
    await keep.click()
    await dialog.getByText('no PKCS #12 file that passphrase opens').waitFor()
    expect(await secrets()).toHaveLength(2)
    await dialog.getByLabel(/^Passphrase/).fill('opens-it')
    await keep.click()
    await dialog.waitFor({ state: 'detached' })
    expect(await suite.page.getByLabel('Or both in a PKCS #12 file').inputValue()).toBe('${secret:api-pfx}')
    expect(await suite.page.getByLabel('Its key (PEM)').inputValue()).toBe('')
    expect((await secrets()).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['api-pfx', 'api-passphrase']),
    )
  })

  it('of an authority stands beside it, and an old one is refused', async () => {
    await suite.page.getByRole('button', { name: 'Upload an authority…' }).click()
    const dialog = suite.page.getByRole('dialog', { name: 'Upload certificates of authorities' })
    const file = (days: number) => ({
      ...{ name: 'ca.pem', mimeType: 'text/plain' },
      buffer: Buffer.from(makeCertificate({ name: 'Our CA', days }).cert),
    })
    await expectAccessible(suite.page, 'an authority that is uploaded')
    await dialog.getByLabel('Certificates of authorities').setInputFiles(file(-1))
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.getByText('it expired on').waitFor()
    await dialog.getByLabel('Certificates of authorities').setInputFiles(file(30))
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(await suite.page.getByLabel('Authority (PEM)').inputValue()).toBe('${secret:api-ca}')
    expect(await suite.page.getByLabel('Or both in a PKCS #12 file').inputValue()).toBe('${secret:api-pfx}')
  })
})

describe('a new sync that is being written', () => {
  const step = (page: Page, name: string) =>
    page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name })
  const open = async (at: string, width = 1280): Promise<Page> => {
    const page = await suite.browser.open({ width })
    await page.goto(`${suite.served.url}/new?step=${at}`)
    return page
  }
  /** With a query that has rows. */
  const openWithRows = async (): Promise<Page> => {
    await suite.served.project.write('data/people.csv', 'id,nickname\n1,Ann\n')
    const page = await open('source')
    await page.getByLabel('Folder, or .duckdb file').fill('./data')
    await step(page, 'Model').click()
    await page.getByRole('button', { name: 'people.csv' }).click()
    await page.getByRole('cell', { name: 'Ann' }).waitFor()
    return page
  }

  it('marks a folder that is not there at its field', async () => {
    const page = await open('source')
    await page.getByLabel('Folder, or .duckdb file').fill('./nowhere')
    await page.getByText(/nowhere, which does not exist/).waitFor()
    expect(await page.getByLabel('Folder, or .duckdb file').getAttribute('aria-invalid')).toBe('true')
    expect(await step(page, 'Requests').innerText()).not.toContain('to mend')
    await page.context().close()
  })

  it('tells of a source that was tested, and not of another one', async () => {
    await suite.served.project.write('data/people.csv', 'id,nickname\n1,Ann\n')
    const page = await open('source')
    await page.getByLabel('Folder, or .duckdb file').fill('./data')
    await page.getByRole('button', { name: 'Test connection' }).click()
    const answers = page.getByText('The source answers.')
    await answers.waitFor()
    await page.getByLabel('Folder, or .duckdb file').fill('./nowhere')
    expect(await answers.count()).toBe(0)
    await page.context().close()
  })

  it('completes the columns though the query is none as yet, and says once what is wrong', async () => {
    const page = await openWithRows()
    await writeInto(page, 'SQL of the model', '')
    await page.keyboard.type('select ')
    const told = page.getByRole('region', { name: 'Model' }).getByRole('alert')
    await told.getByText('without selection list').waitFor()
    expect((await told.innerText()).split('without selection list')).toHaveLength(2)
    // The key can still be chosen, and the columns completed.
    await page.getByRole('checkbox', { name: 'nickname' }).waitFor()
    await page.keyboard.press('Control+Space')
    await page.getByRole('option', { name: 'nickname' }).waitFor()
    await page.context().close()
  })

  it('says that nothing is sent for rows that have no trigger', async () => {
    const page = await openWithRows()
    await step(page, 'Requests').click()
    await page.getByRole('tab', { name: /^removed/ }).click()
    const preview = page.getByRole('region', { name: 'Live preview' })
    await preview.getByText('Nothing is sent for removed rows.').waitFor()
    await preview.getByText('up to date', { exact: true }).waitFor()
    // A mistake elsewhere is found all the same.
    await step(page, 'Model').click()
    await writeInto(page, 'SQL of the model', "select no_such_column from 'people.csv'")
    await step(page, 'Model — to mend').waitFor()
    await page.context().close()
  })

  it('offers the host of the API for a new secret, where TLS guards it', async () => {
    const page = await open('destination', 375)
    const address = page.getByLabel('Address of the API')
    await address.fill('https://api.shop.test/v1')
    await page.getByLabel('Name of another of the headers').fill('X-Key')
    await page.keyboard.press('Enter')
    const value = page.getByLabel('X-Key', { exact: true })
    await value.fill('a-key-of-the-shop')
    // A value can be read on a small screen, too.
    expect((await value.boundingBox())?.width).toBeGreaterThan(200)
    const dialog = page.getByRole('dialog', { name: 'Set a secret' })
    const hosts = dialog.getByLabel('Hosts that it may go to')
    const offered = async (expected: string): Promise<void> => {
      await expect.poll(() => hosts.inputValue()).toBe(expected)
    }
    await address.fill('http://shop.internal')
    await page.getByRole('button', { name: 'Make it a secret' }).click()
    await offered('')
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await address.fill('https://api.shop.test/v1')
    await page.getByRole('button', { name: 'Make it a secret' }).click()
    await offered('api.shop.test')
    await dialog.getByRole('button', { name: 'Keep it in the vault' }).click()
    await dialog.waitFor({ state: 'detached' })
    const kept = { name: 'api-x-key', for: 'api.shop.test' }
    expect(await secrets()).toEqual(expect.arrayContaining([expect.objectContaining(kept)]))
    // One that is there keeps its hosts.
    await page.getByRole('button', { name: 'Set the secret' }).click()
    await offered('')
    await page.context().close()
  })
})

it('has met no script error and no refusal of the page’s own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

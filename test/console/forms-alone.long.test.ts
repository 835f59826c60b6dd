/**
 * Set-ups of real APIs by forms alone, from an empty server to the rows at the API. Nobody opens the YAML,
 * and the page itself counts the clicks. The receivers judge by the requests that they got.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { CLIENT_ID, CLIENT_SECRET, startOidcServer } from '@sluice/testkit/oidc-server'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { startPartner } from '../vendors/soap.ts'
import { startStripe } from '../vendors/stripe.ts'
import { consoleSuite } from './console-suite.ts'
import { emptied, newSyncOf, RUN_MS, type Hands } from './hands.ts'

const postgresUrl = inject('postgresUrl')
const mariadbUrl = inject('mariadbUrl')
/** The name of the tables and users that this file makes on servers which other tests use, too. */
const OWN = `alone_${randomUUID().slice(0, 8)}`

const rowsOf = (example: string, file: string): string =>
  readFileSync(new URL(`../../docs/examples/${example}/data/${file}`, import.meta.url), 'utf8')

const suite = consoleSuite({
  files: {
    'sluice.yaml': 'kind: project\nname: shop\n',
    'customers.csv': rowsOf('stripe', 'customers.csv'),
    'people.csv': 'id,name\n1,Ann\n2,Bob\n',
    'synonyms.csv': rowsOf('algolia', 'synonyms.csv'),
  },
})

const newSync = (): Promise<Hands> => newSyncOf(suite)

/** Each set-up begins on an empty server. */
afterEach(() => emptied(suite))

afterAll(() => expect(suite.browser.complaints).toEqual([]))

describe.skipIf(postgresUrl === null)('from PostgreSQL', () => {
  const address = new URL(postgresUrl ?? 'postgres://nobody@127.0.0.1:1/none')
  const password = 'reads only'
  const sql = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: address.href })
    await client.connect()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }
  beforeAll(() =>
    sql(`create schema ${OWN}; create role ${OWN} login password '${password}';
      create table ${OWN}.contacts(id int primary key, email text, plan text);
      insert into ${OWN}.contacts values (1, 'ada@example.com', 'pro'), (2, 'none', 'pro'), (3, 'bob@example.com', null);
      grant usage on schema ${OWN} to ${OWN}; grant select on ${OWN}.contacts to ${OWN}`),
  )
  afterAll(() => sql(`drop schema ${OWN} cascade; drop role ${OWN}`))

  it('people reach an API in batches by the mapper, and a 207 tells the fate of each row', async () => {
    await using api = await startScriptedApi()
    const results = [{ id: 1 }, { id: 2, message: 'no address' }, { id: 3 }]
    api.on({ url: '/contacts/batch' }, { status: 207, body: JSON.stringify({ results }) })
    const hands = await newSync()
    const { page } = hands
    await hands.choose('Where the rows are', 'postgres')
    await hands.fill('Host', address.hostname)
    await hands.fill('Port', address.port)
    await hands.fill('Database', address.pathname.slice(1))
    await hands.fill('User', OWN)
    await hands.fill('Password', password)
    await hands.useRows('Use contacts')
    await page.getByRole('cell', { name: 'ada@example.com' }).waitFor()
    await hands.goTo('Destination')
    await hands.fill('Address of the API', api.url)
    await hands.goTo('Requests')
    await hands.fill('Path', '/contacts/batch')
    await page.getByRole('checkbox', { name: /^Several rows/ }).click()
    await hands.choose('Body', 'fields')
    await hands.fill('Name of field 2', 'mail')
    await hands.button('Add a field').click()
    await hands.fill('Name of field 4', 'origin')
    await hands.choose('Kind of origin', 'constant')
    await hands.fill('Constant of origin', 'crm')
    await hands.fill('Around it', '{"contacts": {{ items }}}')
    await hands.preview().getByText('"origin": "crm"').first().waitFor()
    await hands.goTo('Schedule and errors')
    await hands.open('Answers of the API')
    await hands.button('Add a rule for rows').click()
    await hands.fill('Items of the answer', '$.results[*]')
    await hands.choose('Its row is found by', 'column')
    await hands.fill('If the item has a value at', '$.message')
    await hands.saveAndRun('customers', 'warning')
    expect(api.requests.map(({ body }): unknown => JSON.parse(body))).toEqual([
      {
        contacts: [
          { id: 1, mail: 'ada@example.com', plan: 'pro', origin: 'crm' },
          { id: 2, mail: 'none', plan: 'pro', origin: 'crm' },
          { id: 3, mail: 'bob@example.com', plan: null, origin: 'crm' },
        ],
      },
    ])
    await page.getByText('1 row · first').waitFor()
    await page
      .getByRole('region', { name: 'Failed rows' })
      .locator('.group-error', { hasText: 'no address' })
      .waitFor()
    await hands.expectClicks(32)
  })
})

it('customers of a CSV file reach Stripe as a form, after a test request before anything is saved', async () => {
  const key = 'sk_test_of_the_forms'
  await using stripe = await startStripe(key)
  const hands = await newSync()
  const { page } = hands
  await hands.useRows('customers.csv')
  await hands.goTo('Destination')
  await hands.choose('Start from', 'stripe')
  await hands.fill('Address of the API', stripe.url)
  await hands.setSecret(hands.button('Set the secret'), key, [stripe.url])
  await hands.goTo('Requests')
  await hands.preview().getByText('Ada+Lovelace').waitFor()
  await hands.preview().getByRole('button', { name: 'Send a test request…' }).first().click()
  await page.getByRole('dialog').getByRole('button', { name: 'Send it' }).click()
  await hands.preview().getByText('"cus_').waitFor()
  expect(stripe.customers.size).toBe(1)
  for (const id of stripe.customers.keys()) stripe.deleteByHand(id)
  await hands.saveAndRun('customers')
  const ids = [...stripe.customers.values()].map(({ metadata }) => metadata['customer_id'])
  expect(ids).toHaveLength(4)
  expect(new Set(ids)).toEqual(new Set(['1', '2', '3', '4']))
  await hands.expectClicks(14)
})

describe.skipIf(mariadbUrl === null)('from MariaDB', () => {
  const address = new URL(mariadbUrl ?? 'mysql://nobody@127.0.0.1:1/none')
  let admin: mysql.Connection
  beforeAll(async () => {
    admin = await mysql.createConnection({ uri: address.href })
    await admin.query(
      `create table ${OWN} (number int primary key, customer text, total decimal(10, 2), note text)`,
    )
    await admin.query(
      `insert into ${OWN} values (1001, 'Lovelace Ltd', 120, null), (1002, 'Hopper', 7.5, '<fragile> & "heavy"')`,
    )
  })
  afterAll(async () => {
    await admin.query(`drop table ${OWN}`)
    await admin.end()
  })

  it('orders reach a SOAP service that wants a certificate of its client, and a token', async () => {
    const { cert, key } = TEST_CERTIFICATE
    const secret = 'the-secret-of-the-forms'
    await using partner = await startPartner({ id: 'sluice', secret }, { cert, key, ca: cert })
    const hands = await newSync()
    await hands.choose('Where the rows are', 'mysql')
    await hands.fill('Host', address.href)
    await hands.fill('Password', address.password)
    await hands.useRows(`Use ${OWN}`)
    await hands.goTo('Destination')
    await hands.choose('Start from', 'soap')
    await hands.fill('Address of the API', partner.url)
    await hands.fill('Token URL', `${partner.url}/token`)
    await hands.setSecret(hands.button('Set the secret').first(), secret, [partner.url])
    await hands.open('Certificates')
    await hands.upload('Upload a client certificate…', { Certificate: cert, 'Its key': key })
    await hands.upload('Upload an authority…', { 'Certificates of authorities': cert })
    await hands.goTo('Requests')
    await hands.preview().getByText('Lovelace Ltd').waitFor()
    await hands.saveAndRun('customers')
    expect(Object.fromEntries(partner.orders)).toEqual({
      1001: { customer: 'Lovelace Ltd', total: '120.00', note: '' },
      1002: { customer: 'Hopper', total: '7.50', note: '<fragile> & "heavy"' },
    })
    await hands.expectClicks(28)
  })
})

it('people reach an API that somebody logs in to', async () => {
  await using idp = await startOidcServer({ redirectUri: 'http://127.0.0.1/login/callback' })
  await using api = await startScriptedApi()
  const hands = await newSync()
  const { page } = hands
  await hands.useRows('people.csv')
  await hands.goTo('Destination')
  await hands.fill('Address of the API', api.url)
  await hands.choose('Kind', 'oauth2')
  await hands.choose('Grant', 'authorization-code')
  await hands.fill('Token URL', idp.tokenUrl)
  await hands.fill('Authorization URL', idp.authorizationUrl)
  await hands.fill('Client id', CLIENT_ID)
  // The servers of the tokens and of the API both get what stands in the settings of OAuth.
  await hands.setSecret(hands.button('Set the secret'), CLIENT_SECRET, [api.url, idp.url])
  await hands.fill('Scopes', 'openid, offline_access')
  await hands.open('More of OAuth')
  await hands.fill('Name of another of the parameters of the authorization request', 'prompt')
  // The value has the focus, so its letters are no keys of the page.
  await page.keyboard.press('Enter')
  await page.keyboard.type('consent')
  expect(await hands.field('prompt').inputValue()).toBe('consent')
  await hands.button('Save').click()
  await page.getByRole('heading', { name: 'customers', level: 1 }).waitFor()
  await page.locator('main').getByRole('link', { name: 'api', exact: true }).first().click()
  await hands.button('Log in…').first().click()
  const opening = page.context().waitForEvent('page')
  await page
    .getByRole('dialog')
    .getByRole('link', { name: /^Log in at 127\.0\.0\.1/ })
    .click()
  const opened = await opening
  await opened.getByText('You are logged in to api.').waitFor()
  await opened.close()
  await page.getByText('Logged in', { exact: false }).first().waitFor()
  await page.locator('main').getByRole('link', { name: 'customers', exact: true }).first().click()
  await hands.button('Run customers now').click()
  await page.locator('.lead').getByText('success').waitFor({ timeout: RUN_MS })
  const bodies = api.requests.map(({ body }): unknown => JSON.parse(body))
  expect(new Set(bodies)).toEqual(
    new Set([
      { id: 1, name: 'Ann' },
      { id: 2, name: 'Bob' },
    ]),
  )
  const [token = ''] = api.requests.map(({ headers }) => headers['authorization']?.replace('Bearer ', ''))
  expect(await idp.isValid(token)).toBe(true)
  await hands.expectClicks(23)
})

it('synonyms reach Algolia: a title, a key as a secret, batches from a template, and removals', async () => {
  await using api = await startScriptedApi()
  const hands = await newSync()
  const { page } = hands
  await hands.useRows('synonyms.csv')
  await hands.goTo('Destination')
  await hands.fill('Title', 'HTTP Request - Algolia REST API')
  expect(await hands.field('Name').inputValue()).toBe('http-request-algolia-rest-api')
  await hands.fill('Address of the API', api.url)
  await hands.fill('Name of another of the headers', 'X-Algolia-Application-Id')
  await page.keyboard.press('Enter')
  await page.keyboard.type('nAPP')
  await hands.fill('Name of another of the headers', 'X-Algolia-API-Key')
  await page.keyboard.press('Enter')
  await page.keyboard.type('an-admin-key')
  await hands.setSecret(hands.button('Make it a secret').last(), '', [api.url])
  await hands.fill('Rate limit', '100')
  await hands.goTo('Requests')
  await hands.fill('Path', '/1/indexes/main/synonyms/batch')
  await hands.preview().getByText('"id": "trousers"').waitFor()
  await page.getByRole('checkbox', { name: /^Several rows/ }).click()
  // The template that nobody has edited has become that of a batch.
  await hands.preview().getByText('4 rows').or(hands.preview().getByText('3 rows')).waitFor()
  const template = `[{% for row in rows %}{"objectID":"{{ row.id }}","type":"synonym","synonyms":["{{ row.synonyms | replace: ', ', '","' }}"]},{% endfor %}]`
  await hands.rewrite('JSON template', template)
  await hands.preview().getByText('"objectID": "trousers"').waitFor()
  await page.getByRole('tab', { name: /^removed/ }).click()
  await hands.choose('For rows that are no longer in the model', 'own')
  // It starts from the path that adds rows.
  expect(await hands.field('Path').inputValue()).toBe('/1/indexes/main/synonyms/{{ row.id }}')
  await hands.goTo('Schedule and errors')
  await hands.fill('Title', 'Algolia synonyms')
  await hands.goTo('Review')
  await page.getByText('That is about 1 request, which takes less than a second').waitFor()
  await hands.saveAndRun('Algolia synonyms')
  const [batch] = api.requests
  expect(batch).toMatchObject({
    ...{ method: 'POST', url: '/1/indexes/main/synonyms/batch' },
    headers: { 'x-algolia-application-id': 'nAPP', 'x-algolia-api-key': 'an-admin-key' },
  })
  expect(JSON.parse(batch?.body ?? '')).toContainEqual({
    ...{ objectID: 'sofa', type: 'synonym', synonyms: ['sofa', 'couch', 'settee'] },
  })
  await hands.expectClicks(22)
})

/**
 * People set up streams by forms alone: of a table of PostgreSQL, and of a topic of Kafka. Nobody opens the
 * YAML. The API judges by the requests that it got, also by those of later changes.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import type { ScriptedApi } from '@sluice/testkit/scripted-api'
import { TopicProducer } from '../../libs/sources/test/topic-producer.ts'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite } from './console-suite.ts'
import { newSyncOf, type Hands } from './hands.ts'

const postgresUrl = inject('postgresUrl')
const kafkaBrokers = inject('kafkaBrokers')
/** The name of what this file makes on servers which other tests use, too. */
const OWN = `streamed_${randomUUID().slice(0, 8)}`

/** Says that rows get a path of their own, and that the sync is a stream, and saves it. */
async function streamTo(hands: Hands, api: string): Promise<void> {
  const { page } = hands
  await hands.goTo('Destination')
  await hands.fill('Address of the API', api)
  await hands.goTo('Requests')
  await hands.choose('Method', 'PUT')
  await hands.fill('Path', '/people/{{ row.id }}')
  await page.getByRole('tab', { name: /^removed/ }).click()
  await hands.choose('For rows that are no longer in the model', 'own')
  await hands.goTo('Schedule and errors')
  await hands.choose('Schedule', 'continuous')
}

async function review(hands: Hands, whole: 'table' | 'topic'): Promise<void> {
  await hands.goTo('Review')
  const says = hands.page.getByText(`The stream begins once this is saved. It compares the whole ${whole}`)
  await says.waitFor()
  expect(await says.innerText()).toContain('2 rows will count as added')
  expect(await says.innerText()).toContain('From then on it sends each change as it comes')
}

/** Expects the change of one row, and the removal of another, behind the two rows that were there. */
function expectBothChanges({ requests }: Pick<ScriptedApi, 'requests'>): void {
  const sent = requests.map(({ method, url, body }) => [
    method,
    url,
    body === '' ? '' : (JSON.parse(body) as unknown),
  ])
  expect(sent.slice(2)).toEqual([
    ['PUT', '/people/1', { id: 1, name: 'Anna' }],
    ['DELETE', '/people/2', ''],
  ])
}

describe.skipIf(postgresUrl === null)('a table of PostgreSQL', () => {
  const address = new URL(postgresUrl ?? 'postgres://nobody@127.0.0.1:1/none')
  const password = 'reads and follows'
  let database: pg.Client
  beforeAll(async () => {
    database = new pg.Client({ connectionString: address.href })
    await database.connect()
    await database.query(`create schema ${OWN}; create role ${OWN} login password '${password}';
      create table ${OWN}.people(id int primary key, name text);
      insert into ${OWN}.people values (1, 'Ann'), (2, 'Bob');
      grant usage on schema ${OWN} to ${OWN}; grant select on ${OWN}.people to ${OWN}`)
  })
  afterAll(async () => {
    const slots = `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1`
    await database.query(slots, [OWN])
    await database.query(`drop publication if exists ${OWN}`)
    await database.query(`drop schema ${OWN} cascade; drop role ${OWN}`)
    await database.end()
  })
  const suite = consoleSuite({ files: { 'sluice.yaml': 'kind: project\nname: shop\n' } })
  afterEach(() => expect(suite.browser.complaints).toEqual([]))

  it('is streamed once somebody has run what the form of its source asks for', async () => {
    const hands = await newSyncOf(suite)
    const { page } = hands
    await hands.choose('Where the rows are', 'postgres')
    await hands.fill('Host', address.hostname)
    await hands.fill('Port', address.port)
    await hands.fill('Database', address.pathname.slice(1))
    await hands.fill('User', OWN)
    await hands.fill('Password', password)
    await page.getByText('A user that may only read is enough.').waitFor()
    await page.getByRole('checkbox', { name: /^Streams may follow its tables/ }).click()
    expect(await page.getByText('A user that may only read is enough.').count()).toBe(0)
    await hands.fill('Publication', OWN)
    await hands.fill('Replication slot', OWN)
    const needs = page.getByRole('region', { name: 'What the database needs' })
    const commands = await needs.locator('code').allInnerTexts()
    expect(commands[0]).toBe('ALTER SYSTEM SET wal_level = logical')
    await expectAccessibleInAllColours(page, 'stream by forms, source')
    // The administrator and the owner run them, with the name of the table in the place of the example.
    for (const command of [commands[1], commands[3]])
      await database.query((command ?? '').replace('public.customers', `${OWN}.people`))
    await hands.useRows('Use people')
    await page.getByRole('cell', { name: 'Bob' }).waitFor()
    expect(await hands.field('Table').inputValue()).toBe(`${OWN}.people`)
    await streamTo(hands, suite.api.url)
    await review(hands, 'table')
    await hands.button('Save').click()
    await suite.api.waitFor(2)
    await database.query(`update ${OWN}.people set name = 'Anna' where id = 1`)
    await suite.api.waitFor(3)
    await database.query(`delete from ${OWN}.people where id = 2`)
    await suite.api.waitFor(4)
    expectBothChanges(suite.api)
    await hands.expectClicks(26)
  })
})

describe.skipIf(kafkaBrokers === null)('a topic of Kafka', () => {
  const suite = consoleSuite({ files: { 'sluice.yaml': 'kind: project\nname: shop\n' } })
  afterEach(() => expect(suite.browser.complaints).toEqual([]))

  it('is streamed as rows, with the key of its records', async () => {
    await using topic = await TopicProducer.make(kafkaBrokers ?? '')
    await topic.write(
      { key: { id: 1 }, value: { id: 1, name: 'Ann' } },
      { key: { id: 2 }, value: { id: 2, name: 'Bob' } },
    )
    const hands = await newSyncOf(suite)
    const { page } = hands
    await hands.choose('Where the rows are', 'kafka')
    await hands.button('Test connection').click()
    await page.getByText('Type a broker first.').waitFor()
    await hands.fill('Brokers', kafkaBrokers ?? '')
    await hands.button('Test connection').click()
    await page.getByText(/^✓ Kafka answers, with \d+ topics?\.$/).waitFor()
    await expectAccessibleInAllColours(page, 'stream by forms, Kafka')
    await hands.goTo('Model')
    const search = page.getByLabel('Search for a topic')
    const use = hands.button(`Use ${topic.topic}`)
    await search.or(use).first().waitFor()
    // Other tests have topics there, too: the search is needed if they are many.
    if ((await search.count()) > 0) await search.fill(topic.topic)
    await use.click()
    await page.getByRole('cell', { name: 'Bob' }).waitFor()
    await hands.choose('Its records', 'rows')
    await page.getByText('the keys of the records tell rows apart: id.').waitFor()
    await expectAccessibleInAllColours(page, 'stream by forms, topic')
    await streamTo(hands, suite.api.url)
    await review(hands, 'topic')
    await hands.button('Save').click()
    await suite.api.waitFor(2)
    await topic.write({ key: { id: 1 }, value: { id: 1, name: 'Anna' } })
    await suite.api.waitFor(3)
    await topic.write({ key: { id: 2 }, value: null })
    await suite.api.waitFor(4)
    expectBothChanges(suite.api)
    await hands.expectClicks(23)
  })
})

describe('a file', () => {
  const suite = consoleSuite({
    files: { 'sluice.yaml': 'kind: project\nname: shop\n', 'people.csv': 'id,name\n1,Ann\n' },
  })

  it('is no source of a stream, which the page says at the schedule, in the words of the forms', async () => {
    const hands = await newSyncOf(suite)
    const { page } = hands
    await hands.useRows('people.csv')
    await streamTo(hands, suite.api.url)
    await page.getByText('A stream reads a topic of Kafka, or a table of PostgreSQL.').first().waitFor()
    await hands.fill('Changes taken together', '10')
    // What only streams have leaves with the stream.
    await hands.choose('Schedule', 'manual')
    await hands.goTo('Review')
    await page.getByText('The next run sends what differs').waitFor()
  })
})

/** People set up a sync of a database by forms alone: from PostgreSQL, from MariaDB, and from SQLite. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { expectAccessibleInAllColours } from './console-page.ts'
import { consoleSuite, editorOf } from './console-suite.ts'

const postgresUrl = inject('postgresUrl')
const mariadbUrl = inject('mariadbUrl')
const suite = consoleSuite({ files: { 'sluice.yaml': 'kind: project\nname: shop\n' } })

/** The names of what this file makes on the servers, which other tests use, too. */
const OWN = `forms_${randomUUID().slice(0, 8)}`
const PASSWORD = 'reads only: ${no} "secret"'
const FILES = 'kind: source\nname: files\ntype: duckdb\npath: .'
const MAX_CLICKS = 35
/** A run of 207 requests on a busy machine. */
const RUN_MS = 90_000

const step = (page: Page, name: string) =>
  page.getByRole('navigation', { name: 'Steps' }).getByRole('button', { name })
const field = (page: Page, name: string) => page.getByLabel(name, { exact: true })
const tell = (page: Page) => page.getByRole('region', { name: 'Source' }).getByRole('status').last()

/** A page that keeps nothing of other tests, and counts its clicks. */
async function open(at: string): Promise<{ readonly page: Page; clicks(): Promise<number> }> {
  const page = await suite.browser.open()
  await page.addInitScript(`
    addEventListener('click', ({ isTrusted }) => {
      if (isTrusted) sessionStorage.setItem('clicks', Number(sessionStorage.getItem('clicks') ?? 0) + 1)
    }, { capture: true })`)
  await page.goto(`${suite.served.url}/${at}`)
  return { page, clicks: async () => Number(await page.evaluate(`sessionStorage.getItem('clicks')`)) }
}

/** Fills in the form of a server, each field with a click, as a person does who has no keyboard tricks. */
async function connect(page: Page, type: string, fields: { readonly [name: string]: string }): Promise<void> {
  await page.getByLabel('Where the rows are').selectOption(type)
  for (const [name, value] of Object.entries(fields)) {
    await field(page, name).click()
    await field(page, name).fill(value)
  }
  await page.getByRole('button', { name: 'Test connection' }).click()
}

describe('a source in SQLite', () => {
  beforeAll(() => {
    const shop = new DatabaseSync(join(suite.served.project.dir, 'shop.sqlite'))
    shop.exec('create table "order" (line integer, number integer, amount, primary key (number, line))')
    shop.exec(
      `create table people (id integer primary key, mail text); insert into people values (1, 'a@example.com')`,
    )
    shop.close()
  })

  it('has the field of its file, and offers its tables with their columns and keys', async () => {
    const { page } = await open('new')
    await page.getByLabel('Where the rows are').selectOption('sqlite')
    await field(page, 'Database file').fill('shop.sqlite')
    await page.getByRole('button', { name: 'Test connection' }).click()
    await tell(page).getByText('✓ The source answers.').waitFor()
    await expectAccessibleInAllColours(page, 'a source in SQLite')
    await step(page, 'Model').click()
    const tables = page.getByRole('region', { name: 'Tables of the source' })
    await tables.getByRole('button', { name: 'Columns of order' }).click()
    expect(
      await tables.getByRole('list', { name: 'Columns of order' }).locator('li').allInnerTexts(),
    ).toEqual(['line INTEGER primary key', 'number INTEGER primary key', 'amount'])
    await tables.getByRole('button', { name: 'Use order' }).click()
    const sql = editorOf(page, 'SQL of the model')
    await expect.poll(() => sql.innerText()).toBe('select * from "order"')
    await page.context().close()
  })
})

describe.skipIf(mariadbUrl === null)('a source in MariaDB', () => {
  const address = new URL(mariadbUrl ?? 'mysql://nobody@127.0.0.1:1/none')
  const database = address.pathname.slice(1)
  let admin: mysql.Connection
  beforeAll(async () => {
    admin = await mysql.createConnection({ uri: address.href })
    await admin.query(`create table ${OWN} (sku varchar(20) primary key, price decimal(10, 2))`)
    await admin.query(`insert into ${OWN} values ('a-1', 9.90)`)
  })
  afterAll(async () => {
    await admin.query(`drop table ${OWN}`)
    await admin.end()
  })

  it('takes a whole URL as its host, and finds a table among many, with its key', async () => {
    const { page } = await open('new')
    await connect(page, 'mysql', { Host: address.href, Password: 'another' })
    await tell(page).getByText(`The server refuses the user ${address.username}, or this password`).waitFor()
    expect(await field(page, 'Port').inputValue()).toBe(address.port)
    expect(await field(page, 'Database').inputValue()).toBe(database)
    await connect(page, 'mysql', { Password: address.password })
    await tell(page)
      .getByText(/^✓ MariaDB [\d.]+ answers\.$/)
      .waitFor()
    await step(page, 'Model').click()
    await page.getByRole('button', { name: `Use ${OWN}` }).click()
    await page.getByRole('cell', { name: 'a-1' }).waitFor()
    expect(await page.getByLabel('sku').isChecked()).toBe(true)
    await page.getByRole('button', { name: 'Check the key' }).click()
    await page.getByText('Each of the 1 rows has a key of its own.').waitFor()
    await page.context().close()
  })
})

describe.skipIf(postgresUrl === null)('a source in PostgreSQL', () => {
  const address = new URL(postgresUrl ?? 'postgres://nobody@127.0.0.1:1/none')
  const server = { Host: address.hostname, Port: address.port, User: OWN, Password: PASSWORD }
  const sqlOn = async (database: string, sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: new URL(`/${database}`, address).href })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  beforeAll(async () => {
    await sqlOn('postgres', `create role ${OWN} login password '${PASSWORD}'`)
    await sqlOn('postgres', `create database ${OWN}`)
    await sqlOn(
      OWN,
      `create table people(id bigint primary key, email text, "Full name" text);
       insert into people select g, 'p' || g || '@example.com', 'Person ' || g from generate_series(1, 207) g;
       create schema sales;
       create table sales."order"(line int, number bigint, amount numeric, primary key (number, line));
       create table hidden(id int);
       grant usage on schema sales to ${OWN}; grant select on people, sales."order" to ${OWN}`,
    )
  })
  afterAll(async () => {
    await sqlOn('postgres', `drop database ${OWN} with (force)`)
    await sqlOn('postgres', `drop role ${OWN}`)
  })

  it('says in words what fails, and keeps its password in the vault', async () => {
    const { page } = await open('new')
    await connect(page, 'postgres', {})
    await tell(page).getByText('Type the host, the database and the user first.').waitFor()
    await connect(page, 'postgres', { ...server, Database: OWN, Port: '1' })
    await tell(page).getByText(`Nothing listens at port 1 of ${address.hostname}.`).waitFor()
    await connect(page, 'postgres', { Port: address.port, Database: 'nowhere' })
    await tell(page).getByText('The server has no database nowhere.').waitFor()
    await connect(page, 'postgres', { Database: OWN })
    await tell(page)
      .getByText(/^✓ PostgreSQL [\d.]+ answers\.$/)
      .waitFor()
    await expectAccessibleInAllColours(page, 'a source in PostgreSQL')
    await page.getByRole('button', { name: 'Show the YAML' }).click()
    const yaml = await editorOf(page, 'The source as YAML').innerText()
    expect(yaml).toContain(`url: postgres://${OWN}@${address.host}/${OWN}`)
    expect(yaml).toContain('password: ${secret:postgres-password}')
    expect(yaml).not.toContain('path')
    expect(await page.evaluate('JSON.stringify(localStorage)')).not.toContain('reads only')
    // Another type keeps only what fits it.
    await page.getByLabel('Where the rows are').selectOption('duckdb')
    const files = editorOf(page, 'The source as YAML')
    await expect.poll(async () => (await files.innerText()).trim()).toBe(FILES)
    await page.context().close()
  })

  it('offers its tables, with their columns and keys, and completes them in SQL', async () => {
    const { page } = await open('new')
    await connect(page, 'postgres', { ...server, Database: OWN })
    await step(page, 'Model').click()
    const tables = page.getByRole('region', { name: 'Tables of the source' })
    await tables.getByText('order', { exact: true }).waitFor()
    expect(await tables.getByText('hidden').count()).toBe(0)
    await tables.getByRole('button', { name: 'Columns of order' }).click()
    expect(
      await tables.getByRole('list', { name: 'Columns of order' }).locator('li').allInnerTexts(),
    ).toEqual(['line integer primary key', 'number bigint primary key', 'amount numeric'])
    await expectAccessibleInAllColours(page, 'the tables of a source')
    await tables.getByRole('button', { name: 'Use order' }).click()
    const sql = editorOf(page, 'SQL of the model')
    await expect.poll(() => sql.innerText()).toBe('select * from sales."order"')
    expect(await field(page, 'Name').inputValue()).toBe('order')
    for (const key of ['line', 'number']) expect(await page.getByLabel(key).isChecked()).toBe(true)
    await sql.click()
    await page.keyboard.press('ControlOrMeta+End')
    await page.keyboard.type(' where am')
    await page.getByRole('option', { name: 'amount' }).waitFor()
    await page.context().close()
  })

  it('becomes a sync whose rows arrive, in a few clicks', async () => {
    const { page, clicks } = await open('new')
    await connect(page, 'postgres', { ...server, Database: OWN })
    await tell(page).getByText('answers.').waitFor()
    await page.getByRole('button', { name: 'Model →' }).click()
    await page.getByRole('button', { name: 'Use people' }).click()
    await page.getByRole('cell', { name: 'p7@example.com' }).waitFor()
    await page.getByRole('button', { name: 'Destination →' }).click()
    await field(page, 'Address of the API').click()
    await field(page, 'Address of the API').fill(suite.api.url)
    await step(page, 'Review').click()
    await page.getByText('207 rows will count as added').waitFor()
    await page.getByRole('button', { name: 'Save and run' }).click()
    await page.getByText('success').first().waitFor({ timeout: RUN_MS })
    expect(suite.api.requests).toHaveLength(207)
    expect(await clicks()).toBeLessThan(MAX_CLICKS)
    await page.context().close()
  })
})

it('has met no script error and no refusal of its own policy', () => {
  expect(suite.browser.complaints).toEqual([])
})

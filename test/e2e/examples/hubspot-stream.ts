/** The example of HubSpot as a stream: its contacts follow a table of PostgreSQL. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { expect, it } from 'vitest'
import { startHubspot, TOO_MANY, type PretendHubspot } from '../../vendors/hubspot.ts'
import { ownDatabase, type OwnDatabase } from '../own-database.ts'
import { projectFolder } from '../project-folder.ts'

const TOKEN = 'pat-eu1-5d0c8e52-1f3b-4c0e-8a61-9b6a4f7e2c10'
const PASSWORD = 'the-password-of-the-shop'
const FOLDER = 'docs/examples/hubspot-stream'
/** A server has to start, and a slice waits half a second. */
const SOON = { timeout: 60_000, interval: 50 }

export function hubspotStreamExample(postgresUrl: string | null): void {
  it.skipIf(postgresUrl === null)('HubSpot follows each change of a table', async ({ onTestFailed }) => {
    await using hubspot = await startHubspot(TOKEN)
    await using shop = await ownDatabase(postgresUrl ?? '')
    await shop.client.query(
      await readFile(new URL(`../../../${FOLDER}/contacts.sql`, import.meta.url), 'utf8'),
    )
    await using project = await projectFolder({
      from: FOLDER,
      env: {
        HUBSPOT_URL: hubspot.url,
        SHOP_URL: shop.url,
        SLUICE_PORT: '0',
        SLUICE_SECRET_HUBSPOT_TOKEN: TOKEN,
        SLUICE_SECRET_HUBSPOT_TOKEN_FOR: '127.0.0.1',
        SLUICE_SECRET_SHOP_PASSWORD: PASSWORD,
      },
      here: true,
    })
    const server = project.start('up', '--json')
    const ended = once(server, 'exit')
    let printed = ''
    server.stdout?.on('data', (text: Buffer) => (printed += text.toString()))
    server.stderr?.on('data', (text: Buffer) => (printed += text.toString()))
    onTestFailed(() => void process.stderr.write(printed))
    const same = (): Promise<unknown> =>
      expect.poll(async () => [contactsOf(hubspot), await wantedOf(shop)], SOON).toSatisfy(areEqual)
    try {
      await same()

      // One wrong contact of a batch: HubSpot takes the other.
      await shop.client
        .query(`update contacts set status = case first_name when 'Zoë' then 'LOST' else 'OPEN' end
                      where first_name in ('Ada', 'Zoë')`)
      const failed = () => project.failed('hubspot-contacts')
      const error = expect.stringContaining('LOST was not one of the allowed options')
      await expect.poll(failed, SOON).toMatchObject([{ key: 'zoe@example.com', outcome: 'rejected', error }])
      await expect.poll(() => statusAt(hubspot, 'ada@example.com'), SOON).toBe('OPEN')
      expect(statusAt(hubspot, 'zoe@example.com')).toBe('CONNECTED')

      hubspot.answerNext({ url: 'upsert' }, TOO_MANY)
      await shop.client.query(`update contacts set status = 'NEW' where first_name = 'Zoë'`)
      await same()

      // Another address is another contact.
      await shop.client.query(`update contacts set email = 'countess@example.com' where first_name = 'Ada'`)
      await shop.client.query(`delete from contacts where first_name = 'Grace'`)
      await same()
      const before = hubspot.requests.length

      await shop.client.query(`insert into contacts (email, first_name)
                      select 'c' || n || '@example.com', 'C' || n from generate_series(1, 250) n`)
      await same()
      // Three, or a few more if the machine stood still for the time that a slice waits.
      expect(hubspot.requests.length - before).toBeLessThan(10)
    } finally {
      server.kill('SIGTERM')
      await ended
    }
    const stored = await project.read('.sluice/log.db')
    const attempts = JSON.stringify(await project.attempts('--sync', 'hubspot-contacts'))
    for (const secret of [TOKEN, PASSWORD])
      expect([stored, attempts, printed].some(text => text.includes(secret))).toBe(false)
  })
}

type Contacts = { readonly [email: string]: { readonly [property: string]: string } }

/** What HubSpot should have, by email address. */
async function wantedOf({ client }: OwnDatabase): Promise<Contacts> {
  const { rows } = await client.query<{ readonly [column: string]: string | null }>(
    `select email, first_name firstname, last_name lastname, revenue annualrevenue, status hs_lead_status
     from contacts`,
  )
  const texts = rows.map(row => Object.entries(row).map(([key, value]) => [key, value ?? ''] as const))
  return Object.fromEntries(
    texts.map(Object.fromEntries).map((row: Contacts[string]) => [row['email'] ?? '', row]),
  )
}

function contactsOf({ contacts }: PretendHubspot): Contacts {
  return Object.fromEntries([...contacts].map(([email, { properties }]) => [email, properties]))
}

function statusAt({ contacts }: PretendHubspot, email: string): string | undefined {
  return contacts.get(email)?.properties['hs_lead_status']
}

function areEqual([found, wanted]: [Contacts, Contacts]): boolean {
  return isDeepStrictEqual(found, wanted)
}

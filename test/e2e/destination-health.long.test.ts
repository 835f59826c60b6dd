/** The health of destinations: the API, the command and the metrics say the same, whatever the API does. */
import { destinationsPage } from '@sluice/contracts/api/operating'
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { startScriptedApi, type ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { describe, expect, it, vi } from 'vitest'
import { manyPeople, peopleYaml } from './people-project.ts'
import { bothProfiles, type Opened, type Profile } from './profiles.ts'

/** More than the breaker lets through before it ends a run. */
const PEOPLE = 24
/** No process listens there. */
const NOWHERE = 'http://127.0.0.1:9'

const OTHERS = `
---
kind: destination
name: gone
baseUrl: ${NOWHERE}
breaker: false
allowPrivateNetwork: true
---
kind: destination
name: locked
baseUrl: \${API_URL}
headers: { X-Key: '\${secret:crm-key}' }
allowPrivateNetwork: true
---
kind: destination
name: personal
baseUrl: \${API_URL}
auth:
  oauth2:
    grant: authorization-code
    authorizationUrl: \${API_URL}/authorize
    tokenUrl: \${API_URL}/token
    clientId: sluice
---
kind: sync
name: to-gone
model: people
destination: gone
triggers: { added: { method: PUT, path: '/gone/{{ id }}' } }
---
kind: sync
name: to-locked
model: people
destination: locked
triggers: { added: { method: PUT, path: '/locked/{{ id }}' } }
`

/** Returns the health of a destination, and makes sure that all who show it agree. */
async function healthOf({ project }: Opened, url: string, name: string): Promise<DestinationHealth> {
  const get = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text()
  const [answered, told, metrics] = await Promise.all([
    get('/api/v1/destinations'),
    project.sluice('destinations', '--json'),
    get('/metrics'),
  ])
  const [byApi, byCommand] = [answered, told.stdout].map(text => {
    const { destinations } = destinationsPage.parse(JSON.parse(text))
    return destinations.find(destination => destination.name === name)?.health
  })
  if (byApi === undefined) throw new Error(`${name} has no health: ${answered}`)
  // The state may change between two questions, and is asked for again then.
  expect(byCommand?.state, 'the state that the command tells').toBe(byApi.state)
  expect(metrics).toContain(`sluice_destination_health{destination="${name}",state="${byApi.state}"} 1`)
  return byApi
}

function healthSuite(profile: Profile): void {
  describe(`${profile.name}: the health of a destination`, () => {
    it('is told with its reason, whatever the API does, and is mended with it', async () => {
      await using api = await startScriptedApi()
      const files = {
        'project.yaml':
          peopleYaml({ destination: 'breaker: { failures: 4, pause: 200ms }\nlimits: { concurrency: 2 }' }) +
          OTHERS,
        'people.csv': manyPeople(PEOPLE),
      }
      // Only a console with the key of the vault knows its logins.
      const key = EncryptionKeys.generate()
      const env = { API_URL: api.url, SLUICE_PORT: '0', SLUICE_ENCRYPTION_KEY: key }
      await using world = await profile.open({ files, env, here: true })
      const { project } = world
      await project.sluice('apply')
      const url = await world.serve()
      const until = async (state: DestinationHealth['state'], name = 'api'): Promise<DestinationHealth> =>
        await vi.waitFor(
          async () => {
            const found = await healthOf(world, url, name)
            expect(found).toMatchObject({ state })
            return found
          },
          { timeout: 60_000, interval: 200 },
        )
      /** Changes all rows and sends them; the API gives each the answer. */
      const writePeople = (version: number): Promise<void> =>
        project.write('people.csv', manyPeople(PEOPLE).replaceAll(' ', ` ${version} `))
      let round = 0
      const run = async (answer: ScriptedAnswer): Promise<void> => {
        api.reset()
        api.on({}, answer)
        round += 1
        await writePeople(round)
        await project.run('people')
      }
      /** Asks for a run, and does not wait for it. */
      const ask = async (sync: string): Promise<void> => {
        const asked = await fetch(`${url}/api/v1/syncs/${sync}/runs`, { method: 'POST' })
        expect(asked.ok, await asked.text()).toBe(true)
      }
      const setSecret = async (name: string): Promise<void> => {
        const method = 'PUT'
        const body = JSON.stringify({ value: 'a-secret-of-the-crm', for: new URL(api.url).host })
        const headers = { 'content-type': 'application/json' }
        const set = await fetch(`${url}/api/v1/secrets/${name}`, { method, body, headers })
        expect(set.status, await set.text()).toBeLessThan(300)
      }

      expect(await until('unused')).toMatchObject({ lastAttemptAt: null })
      expect(await until('unusable', 'personal')).toMatchObject({
        fix: { act: 'log-in', name: 'personal' },
      })

      await run({ status: 401 })
      expect(await until('failing')).toMatchObject({
        reason: `All of the last ${PEOPLE} requests failed: HTTP 401, it refuses the credentials.`,
        fix: null,
      })
      await run({ status: 200 })
      expect(await until('healthy')).toMatchObject({ reason: `The last ${PEOPLE} requests arrived.` })

      let isBusy = true
      api.reset()
      api.on({}, () => (isBusy ? { status: 429, headers: { 'retry-after': '2' } } : {}))
      await writePeople(-1)
      await ask('people')
      const { until: pauseEnds } = await until('paused')
      expect(pauseEnds).not.toBeNull()
      isBusy = false
      await until('healthy')

      // What follows from attempts alone is the same on Kafka.
      if (profile.name === 'embedded') {
        await run({ status: 422, body: '{"error":"name of Ann is taken"}' })
        const rejected = await until('failing')
        expect(rejected.reason).toBe(`All of the last ${PEOPLE} requests failed: HTTP 422.`)
        await run({ status: 200 })
        await until('healthy')

        await run({ fault: 'reset-after-reading' })
        expect((await until('breaker-open')).reason).toMatch(
          /^`.+` breaks .* \d+ requests in a row failed, and Sluice stopped sending at .*Z[.]$/,
        )
        await run({ status: 200 })
        await until('healthy')

        await project.run('to-gone')
        expect(await until('failing', 'gone')).toMatchObject({
          reason: `All of the last ${PEOPLE} requests failed: ECONNREFUSED, nothing listens at its address.`,
        })
      }

      // Distributed, delivery may have a secret that the console does not know. So only a run can tell.
      if (profile.name === 'distributed') await ask('to-locked')
      expect(await until('unusable', 'locked')).toMatchObject({
        reason: 'The secret `crm-key` is not set.',
        fix: { act: 'set-secret', name: 'crm-key' },
      })
      await setSecret('crm-key')
      if (profile.name === 'embedded') await ask('to-locked')
      await until('healthy', 'locked')
    })
  })
}

bothProfiles().forEach(healthSuite)

import { afterEach, describe, expect, it, vi } from 'vitest'
import { createServer } from 'node:http'
import { listen } from '@sluice/testkit/listen'
import { CLIENT_ID, CLIENT_SECRET, startOidcServer } from '@sluice/testkit/oidc-server'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { realServices, startDistributed } from './distributed.ts'
import { oauthTests, untilSaid } from './oauth.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { bothProfiles } from './profiles.ts'
import { finished, projectFolder } from './project-folder.ts'

vi.setConfig({ testTimeout: 300_000 })

bothProfiles().forEach(oauthTests)

describe.skipIf(realServices() === null)('several processes of delivery', () => {
  const closing: AsyncDisposable[] = []
  afterEach(async () => {
    for (const each of closing.splice(0).reverse()) await each[Symbol.asyncDispose]()
  })

  it('share one token, replace it once, and wait together for a token endpoint that fails', async () => {
    const idp = await startOidcServer()
    closing.push(idp)
    const seen = new Map<string, number>()
    const api = createServer((request, response) => {
      const token = (request.headers.authorization ?? '').replace('Bearer ', '')
      void idp.isValid(token).then(valid => {
        if (valid) seen.set(token, (seen.get(token) ?? 0) + 1)
        response.writeHead(valid ? 200 : 401).end('{}')
      })
    })
    const listening = await listen(api)
    closing.push(listening)
    const env = {
      API_URL: `http://127.0.0.1:${listening.port}`,
      SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate(),
      SLUICE_SECRET_CLIENT: CLIENT_SECRET,
      SLUICE_SECRET_CLIENT_FOR: '127.0.0.1',
    }
    const services = await startDistributed({ env, counts: { delivery: 3 } })
    closing.push(services)
    const oauth2 = `grant: client-credentials, tokenUrl: '${idp.tokenUrl}', clientId: ${CLIENT_ID}, clientSecret: '\${secret:client}'`
    const rows = (name: string): string => peopleCsv(...Array.from({ length: 300 }, (_, n) => `${n},${name}`))
    const files = {
      'sluice.yaml': peopleYaml({
        destination: `auth: { oauth2: { ${oauth2} } }`,
        sync: 'partitions: 6',
        sql: `select id::varchar as id, name from 'people.csv'`,
      }),
      'people.csv': rows('Ann'),
    }
    const project = await projectFolder({ files, env: { ...env, ...services.env }, here: true })
    closing.push(project)
    const first = await project.run(SYNC)
    expect(first.view, services.logs()).toMatchObject({ status: 'success' })
    expect(idp.tokenRequests).toHaveLength(1)
    for (const token of seen.keys()) await idp.revoke(token)
    await project.write('people.csv', rows('Bob'))
    const second = await project.run(SYNC)
    expect(second.view, services.logs()).toMatchObject({
      status: 'success',
      triggers: { changed: { delivered: 300, rejected: 0, unsent: 0, requests: 300 } },
    })
    expect(idp.tokenRequests).toHaveLength(2)
    expect([...seen.values()]).toEqual([300, 300])
    // From here on there is no token, until somebody mends the server.
    for (const token of seen.keys()) await idp.revoke(token)
    idp.fail({ status: 500 })
    await project.write('people.csv', rows('Cid'))
    const third = project.start('run', SYNC)
    await untilSaid(third, /HTTP 500/)
    idp.fail(null)
    const ended = await finished(third)
    expect(ended.exitCode, ended.stderr).toBe(0)
    expect([...seen.values()]).toEqual([300, 300, 300])
    expect(services.logs()).not.toContain(CLIENT_SECRET)
  })
})

/** Exit codes and JSON of every command in a folder, against a server, and on Kafka. */
import { describe, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { realServices, startDistributed } from './distributed.ts'
import { playCases } from './exit-codes.ts'
import { servedFolder } from './one-folder.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const FILES = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ann', '2,Bob') }

it('every command in a folder exits and prints as the table says', async () => {
  await using api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
  await using project = await projectFolder({ files: FILES, env: { API_URL: api.url }, here: true })
  await playCases('a folder', (words, stdin) => project.sluiceWith(stdin, ...words))
})

it('every command against a server exits and prints as the table says', async () => {
  await using api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
  await using served = await servedFolder(api, {})
  await using client = await projectFolder({ env: { SLUICE_URL: served.url }, here: true })
  await playCases('a server', (words, stdin) => client.sluiceWith(stdin, ...words))
})

describe.skipIf(realServices() === null)('on Kafka', () => {
  it('every command exits and prints as the table says', async ({ onTestFailed }) => {
    await using api = await startScriptedApi()
    api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
    const env = { API_URL: api.url, SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() }
    await using services = await startDistributed({ env })
    onTestFailed(() => void process.stderr.write(services.logs()))
    await using project = await projectFolder({ files: FILES, env: { ...env, ...services.env }, here: true })
    await playCases('Kafka', (words, stdin) => project.sluiceWith(stdin, ...words))
  })
})

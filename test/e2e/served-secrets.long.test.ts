/** Secrets that people change while `sluice up` has the folder open. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { ending, servedFolder, sharedFolder } from './one-folder.ts'
import { peopleCsv } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const TOKEN = 'a-token-that-writes'
const READ_TOKEN = 'a-token-that-reads'
const [FIRST, SECOND, THIRD] = ['first-in-the-vault-47', 'second-in-the-vault-48', 'third-in-the-vault-49']
const DESTINATION = "headers: { X-Key: '${secret:crm-key}' }"

it('are used by the next run, whoever sets them, and stand nowhere', async () => {
  await using api = await startScriptedApi()
  const tokens = { SLUICE_TOKEN: TOKEN, SLUICE_READ_TOKEN: READ_TOKEN, SLUICE_LOG_LEVEL: 'trace' }
  const served = await servedFolder(api, tokens, DESTINATION)
  let logs = ''
  served.server.stderr?.on('data', (part: Buffer) => (logs += part.toString()))
  await using closing = new AsyncDisposableStack()
  closing.use(served)
  const { project, url } = served
  const at = async (token: string) => {
    const env = { SLUICE_URL: url, SLUICE_TOKEN: token }
    return closing.use(await projectFolder({ env, here: true }))
  }
  const [client, reader] = [await at(TOKEN), await at(READ_TOKEN)]
  const { host } = new URL(api.url)
  const said: string[] = []
  const set = async (by: typeof client, value: string, ...more: readonly string[]) => {
    const { exitCode, stdout, stderr } = await by.sluiceWith(value, 'secret', 'set', 'crm-key', ...more)
    said.push(stdout, stderr)
    expect(exitCode, stderr).toBe(0)
  }

  expect(await client.error('run', 'people')).toMatchObject({
    message: expect.stringContaining('sluice secret set crm-key'),
  })
  expect(await client.error('auth', 'api')).toMatchObject({
    code: 'usage',
    message: expect.stringContaining('unset SLUICE_URL'),
  })
  await set(client, FIRST, '--for', host)
  expect((await client.run('people')).view.status).toBe('success')
  // The same definition: what a process has made of a secret is made anew.
  await set(client, SECOND)
  await project.write('people.csv', peopleCsv('1,Anna', '2,Bob'))
  expect((await client.run('people')).view.status).toBe('success')
  // In the folder itself, where the project has become wrong meanwhile.
  await project.write('broken.yaml', 'kind: sync\nname: [')
  await set(project, THIRD)
  await project.write('people.csv', peopleCsv('1,Annabel', '2,Bob'))
  expect((await client.run('people')).view.status).toBe('success')
  expect(api.requests.map(({ headers }) => headers['x-key'])).toEqual([FIRST, FIRST, SECOND, THIRD])

  const [refused, list] = [
    await reader.sluiceWith(FIRST, 'secret', 'set', 'crm-key', '--json'),
    await reader.sluice('secret', 'list', '--json'),
  ]
  expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'forbidden' } })
  expect(await reader.error('secret', 'remove', 'crm-key')).toMatchObject({ code: 'forbidden' })
  expect(JSON.parse(list.stdout)).toMatchObject({ secrets: [{ name: 'crm-key', for: host }] })
  expect(await client.error('secret', 'remove', 'nothing')).toMatchObject({ code: 'not-found' })
  expect((await client.sluice('secret', 'remove', 'crm-key')).exitCode).toBe(0)
  expect(await client.error('run', 'people')).toMatchObject({
    message: expect.stringContaining('sluice secret set crm-key'),
  })

  said.push(refused.stdout, refused.stderr, list.stdout, JSON.stringify(await client.attempts()))
  for (const file of ['log.db', 'log.db-wal'])
    said.push(await readFile(join(project.dir, '.sluice', file), 'latin1').catch(() => ''))
  await closing.disposeAsync()
  const all = [...said, logs].join()
  for (const secret of [FIRST, SECOND, THIRD])
    for (const encoding of ['utf8', 'base64', 'hex'] as const)
      expect(all).not.toContain(Buffer.from(secret).toString(encoding).slice(0, -3))
})

it('are set through a run that is at work, though the project has become wrong', async () => {
  await using folder = await sharedFolder()
  const { api, project } = folder
  folder.hold('/people')
  const run = ending(project.start('run', 'people', '--json'))
  await api.waitFor(1)
  await project.write('broken.yaml', 'kind: sync\nname: [')
  const set = await project.sluiceWith(FIRST, 'secret', 'set', 'crm-key', '--json')
  expect(JSON.parse(set.stdout), set.stderr).toEqual({ name: 'crm-key', for: null, replaced: false })
  const list = await project.sluice('secret', 'list', '--json')
  expect(JSON.parse(list.stdout)).toMatchObject({ secrets: [{ name: 'crm-key' }] })
  expect(await project.error('auth', 'api')).toMatchObject({ code: 'config' })
  await project.write('broken.yaml', '')
  expect(await project.error('auth', 'api')).toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('stop it, log in, and start it again'),
  })
  folder.release()
  expect((await run).code).toBe(0)
})

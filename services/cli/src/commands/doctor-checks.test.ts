import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServerControl } from '@sluice/control/adapters/server'
import { SluiceError } from '@sluice/contracts/errors'
import { expect, it } from 'vitest'
import { projectChecks, serverChecks } from './doctor-checks.ts'

it('a server that is not Sluice is no server, whatever it answers', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome</html>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using control = createServerControl({ kind: 'url', url: new URL(url).href, token: null })
  const checks = await serverChecks(url, control, new AbortController().signal)
  const wrong = checks.filter(({ status }) => status !== 'ok')
  expect(wrong).toEqual([
    expect.objectContaining({
      check: 'server',
      found: expect.stringContaining('is no Sluice of this version'),
      advice: expect.stringContaining('put SLUICE_URL right'),
    }),
  ])
  expect(checks.filter(({ check }) => ['server', 'token'].includes(check))).toEqual(wrong)
  server.close()
  server.closeAllConnections()
})

it('a project with a mistake is a problem, in the words of its error', async () => {
  const message = 'The project in /p has an error.'
  const error = new SluiceError('config', message, { details: [{ file: 'a.yaml', message: 'wrong' }] })
  expect(await projectChecks('/p', null, () => Promise.reject(error))).toEqual([
    expect.objectContaining({ check: 'project', status: 'problem', found: message }),
  ])
})

import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, it } from 'vitest'
import { httpSenderContract } from '../../test/contract.ts'
import { connectionsContract } from '../../test/connections.ts'
import { longAnswersContract } from '../../test/long-answers.ts'
import { oddAnswersContract } from '../../test/odd-answers.ts'
import { createUndiciSender } from './undici.ts'

describe('undici', () => {
  httpSenderContract('undici', { open: options => createUndiciSender(options) })
  oddAnswersContract('undici', () => createUndiciSender({ connections: 1 }))
  connectionsContract('undici', options => createUndiciSender({ connections: 2, ...options }))
  longAnswersContract('undici', answers => createUndiciSender({ connections: 40, answers }))

  it('goes to no private network where the operator refuses that, whatever a request permits', async () => {
    let asked = 0
    const server = createServer((_request, response) => response.end(`${(asked += 1)}`)).listen(
      0,
      '127.0.0.1',
    )
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : null
    await using sender = createUndiciSender({ neverPrivate: true })
    for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]'])
      for (const connection of [{}, { allowPrivateNetwork: true }]) {
        const url = `http://${host}:${String(port)}/`
        const asks = { method: 'GET', url, headers: {}, body: null, connection, timeoutMs: 5_000 }
        expect(await sender.send({ ...asks, signal: new AbortController().signal })).toMatchObject({
          kind: 'failed',
          reason: 'not-sent',
          error: expect.stringContaining('SLUICE_DESTINATION_PRIVATE_NETWORKS') as string,
        })
      }
    expect(asked).toBe(0)
    server.close()
  })
})

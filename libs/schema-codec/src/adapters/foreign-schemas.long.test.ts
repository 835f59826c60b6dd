/** A registry answers that wants the time or the memory of this process. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type ForeignSchema, ForeignSchemas } from './foreign-schemas.ts'

const { signal } = new AbortController()

/** Asks a registry that answers so for a schema. */
async function askedOf(answer: (response: ServerResponse) => void): Promise<ForeignSchema> {
  const server = createServer((_, response) => {
    answer(response.setHeader('content-type', 'application/json'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const schemas = new ForeignSchemas({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  try {
    return await schemas.ask(1, { signal })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

describe('a registry of a stranger', { timeout: 60_000 }, () => {
  it('is heard no longer than a schema takes', async () => {
    let taken = 0
    const piece = Buffer.alloc(1_000_000, ' ')
    const asked = askedOf(response => {
      const more = (): void => {
        while (!response.destroyed && taken < 2_000_000_000 && response.write(piece)) taken += piece.length
      }
      response.on('drain', more)
      more()
    })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
    expect(taken).toBeLessThan(1_000_000_000)
  })

  it('is not heard for ever, however slowly it answers', async () => {
    const asked = askedOf(response => {
      const timer = setInterval(() => response.write(' '), 500)
      response.once('close', () => clearInterval(timer))
    })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
  })
})

/** A broker answers that wants to end this process, or to take its memory. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { isSluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { openSource } from '../open-source.ts'

const MODEL: ModelSpec = { kind: 'model', name: 'people', source: 'events', topic: 'people', format: 'rows' }

/** Returns the code of the error of a reading from a broker that does this with each connection. */
async function outcomeAt(serve: (socket: Socket) => void): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => undefined)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const brokers = [`127.0.0.1:${(server.address() as AddressInfo).port}`]
  const spec: KafkaSourceSpec = { kind: 'source', name: 'events', type: 'kafka', brokers, timeout: 4_000 }
  await using source = await openSource(spec, { secretFor: () => 'p4ssword' })
  const { signal } = new AbortController()
  const error: unknown = await source.describe(MODEL, { signal }).catch((thrown: unknown) => thrown)
  server.close()
  return isSluiceError(error) ? error.code : String(error)
}

describe('a hostile broker', { timeout: 60_000 }, () => {
  it.each([
    ['an answer without bytes', Buffer.alloc(8)],
    ['an answer of a negative length', Buffer.from('fffffff0000000000000000000', 'hex')],
  ])('does not end the process with %s', async (_, answer) => {
    const thrown: unknown[] = []
    const note = (error: unknown): void => {
      thrown.push(error)
    }
    // Vitest's own listeners would only fail the whole file.
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', note)
    try {
      const code = await outcomeAt(socket => socket.once('data', () => socket.write(answer)))
      expect(thrown).toEqual([])
      expect(['unreachable', 'query']).toContain(code)
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const each of others) process.on('uncaughtException', each)
    }
  })

  it('is not heard for longer than an answer may be', async () => {
    let taken = 0
    const piece = Buffer.alloc(1_000_000)
    await outcomeAt(socket => {
      const head = Buffer.alloc(8)
      head.writeInt32BE(2_000_000_000, 0)
      const more = (): void => {
        while (!socket.destroyed && taken < 1_000_000_000 && socket.write(piece)) taken += piece.length
      }
      socket.once('data', () => {
        socket.write(head)
        socket.on('drain', more)
        more()
      })
    })
    expect(taken).toBeLessThan(150_000_000)
  })
})

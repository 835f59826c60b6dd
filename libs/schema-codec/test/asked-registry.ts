/** A registry of a stranger, over real HTTP. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ForeignSchema, ForeignSchemas } from '../src/adapters/foreign-schemas.ts'

const { signal } = new AbortController()

/** Asks a registry that answers so for a schema. */
export async function askedOf(answer: (response: ServerResponse) => void): Promise<ForeignSchema> {
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

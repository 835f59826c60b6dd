import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { createRegistryCodec } from './registry.ts'

it('a URL without the path of the API is an error of configuration that names the variable', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    await using codec = createRegistryCodec({ url: `http://127.0.0.1:${port}` })
    const schema = { type: 'record', name: 'Row', fields: [] } as const
    const encoding = codec.encoder('sluice.Row', schema, { signal: new AbortController().signal })
    await expect(encoding).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/SLUICE_SCHEMA_REGISTRY_URL.*404/),
    })
  } finally {
    server.close()
  }
})

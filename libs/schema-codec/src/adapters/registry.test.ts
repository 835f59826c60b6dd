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

it.each([
  ['that is missing', 404, { error_code: 40_403, message: 'Schema not found' }],
  [
    'of another program',
    200,
    { schema: '{"type":"string","logicalType":"none of ours"', schemaType: 'AVRO' },
  ],
  ['of another kind', 200, { schema: '{"type":"object"}', schemaType: 'JSON' }],
])(
  'ten thousand records of a schema %s cost a question or two',
  async (_what, status, answer) => {
    let questions = 0
    const server = createServer((_request, response) => {
      questions += 1
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      await using codec = createRegistryCodec({ url: `http://127.0.0.1:${port}`, missingForMs: 0 })
      const { signal } = new AbortController()
      const record = Uint8Array.of(0, 0, 0, 0, 99, 1)
      for (let n = 0; n < 10_000; n += 1)
        await expect(codec.decode([record], { signal })).rejects.toMatchObject({ code: 'corrupt' })
      // One that is missing may come, and is asked for again each second.
      expect(questions).toBeLessThan(30)
    } finally {
      server.close()
    }
  },
  60_000,
)

import { describe, inject } from 'vitest'
import { createRegistryCodec } from './adapters/registry.ts'
import { schemaCodecContract } from './contract.ts'

const url = inject('registryUrl')

describe.skipIf(url === null)('with a registry', () => {
  schemaCodecContract('registry', async () => ({
    open: () => createRegistryCodec({ url: url ?? '' }),
    close: async () => {},
  }))
})

import { describe, inject } from 'vitest'
import { createRegistryCodec } from './adapters/registry.ts'
import { schemaCodecLongContract } from '../test/contract.ts'

const given = inject('registryUrl')
const url = given ?? ''

describe.skipIf(given === null)('with a registry', () => {
  schemaCodecLongContract('registry', async () => ({
    open: () => createRegistryCodec({ url }),
    close: async () => {},
  }))
})

import { expect, it } from 'vitest'
import type { DestinationTokens } from '@sluice/delivery/destination/destination-tokens'
import type { Definitions } from '@sluice/resources/stored-documents'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { targets } from './connections.ts'

const options = { signal: new AbortController().signal, waitsFor: () => undefined }

it('a target is made once, and anew after a change of the vault', async () => {
  const { destination, ...others } = sampleDefinition()
  const headers = { 'x-key': '${secret:crm-key}' }
  const definition = { ...others, destination: { ...destination, headers } }
  const definitions = { get: () => Promise.resolve(definition) } as unknown as Definitions
  const tokens = { of: () => null } as unknown as DestinationTokens
  const vault = { version: 1 }
  let value = 'the first'
  const resolve = targets(definitions, () => value, { tokens, vault, profile: { allowPrivateNetwork: true } })
  const first = await resolve('hash', options)
  expect(first.headers).toMatchObject({ 'x-key': 'the first' })
  expect(await resolve('hash', options)).toBe(first)
  value = 'the second'
  vault.version += 1
  expect((await resolve('hash', options)).headers).toMatchObject({ 'x-key': 'the second' })
})

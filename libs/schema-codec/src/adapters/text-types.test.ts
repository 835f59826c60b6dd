import { describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { TEXT } from './text-types.ts'

const buffer = Buffer.alloc(1_000)

/** Reads a text's bytes, in a buffer that other texts have had before and will have again. */
function read(bytes: Uint8Array): unknown {
  buffer.fill(0)
  const end = TEXT.encode('x'.repeat(bytes.length), buffer, 0)
  buffer.set(bytes, end - bytes.length)
  return TEXT.decode(buffer, 0).value
}

describe('texts', () => {
  it('are read unchanged, however often one of the same length was read before', () => {
    const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
    const random = randomFrom(seed)
    const known: Buffer[] = []
    for (let round = 0; round < 20_000; round += 1) {
      const usual = known.length > 0 && random.chance(0.7) ? known[random.below(known.length)] : undefined
      const bytes = Buffer.from(usual ?? Array.from({ length: random.below(60) }, () => random.below(256)))
      // Nearly the same as another one: it differs in a single byte.
      if (bytes.length > 0 && random.chance(0.3)) bytes[random.below(bytes.length)] = random.below(256)
      if (known.length < 200) known.push(bytes)
      else known[random.below(known.length)] = bytes
      expect(read(bytes), `SLUICE_TEST_SEED=${seed} ${bytes.toString('hex')}`).toBe(bytes.toString('utf8'))
    }
  })
})

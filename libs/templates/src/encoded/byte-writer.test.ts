import { isUtf8 } from 'node:buffer'
import { randomFrom } from '@sluice/testkit/random'
import { describe, expect, it } from 'vitest'
import { ByteWriter, needsNoEscape } from './byte-writer.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

/** Returns the text that the writer makes of bytes; null where it refuses them. */
function written(bytes: Uint8Array, writer = new ByteWriter()): string | null {
  writer.begin()
  return writer.jsonText(bytes, 0, bytes.length) ? text(writer.take()) : null
}

describe('texts as JSON', () => {
  it('have every character written as JSON.stringify writes it', () => {
    const writer = new ByteWriter()
    const wrong: string[] = []
    for (let from = 0; from < 0x110000; from += 64) {
      const characters = Array.from({ length: 64 }, (_, i) => String.fromCodePoint(from + i))
        .filter(character => character.isWellFormed())
        .join('')
      if (written(Buffer.from(characters), writer) !== JSON.stringify(characters))
        wrong.push(from.toString(16))
    }
    expect(wrong).toEqual([])
  })

  it('have control characters and quotes escaped wherever they stand, and however many there are', () => {
    for (let code = 0; code < 0x80; code += 1) {
      const character = String.fromCharCode(code)
      for (const each of [
        character,
        `${character}x`,
        `x${character}`,
        'é'.repeat(100) + character.repeat(20_000),
      ])
        expect(written(Buffer.from(each)) === JSON.stringify(each), `character ${code}`).toBe(true)
    }
  })

  it('are refused exactly where the bytes are no UTF-8', () => {
    const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
    const random = randomFrom(seed)
    const writer = new ByteWriter()
    let valid = 0
    for (let round = 0; round < 15_000; round += 1) {
      // Few bytes, most of them such as stand in longer characters.
      const bytes = Buffer.from(
        Array.from({ length: 1 + random.below(5) }, () =>
          random.chance(0.8) ? 0x80 + random.below(0x80) : random.below(0x80),
        ),
      )
      if (isUtf8(bytes)) valid += 1
      const note = `SLUICE_TEST_SEED=${seed} ${bytes.toString('hex')}`
      expect(written(bytes, writer), note).toBe(isUtf8(bytes) ? JSON.stringify(text(bytes)) : null)
      const asItStands = isUtf8(bytes) && JSON.stringify(text(bytes)) === `"${text(bytes)}"`
      expect(needsNoEscape(bytes, 0, bytes.length), note).toBe(asItStands)
    }
    expect(valid).toBeGreaterThan(50)
  })
})

describe('whole numbers', () => {
  it('have all their digits', () => {
    const writer = new ByteWriter()
    const around = Array.from({ length: 53 }, (_, power) => [
      2 ** power - 1,
      2 ** power,
      10 ** (power % 16),
    ]).flat()
    for (const number of [0, ...around, ...around.map(each => -each), Number.MAX_SAFE_INTEGER]) {
      writer.begin()
      writer.integer(number)
      expect(text(writer.take())).toBe(String(number === 0 ? 0 : number))
    }
  })
})

describe('bodies', () => {
  it('stay as they were taken, however many follow and however long they are', () => {
    const writer = new ByteWriter()
    const bodies = Array.from({ length: 40 }, (_, index) => {
      writer.begin()
      writer.text('dropped')
      writer.begin()
      const piece = `${index}é`.repeat(index * 700)
      writer.text(piece)
      writer.bytes(Buffer.from(piece))
      return { piece, body: writer.take() }
    })
    for (const { piece, body } of bodies) expect(text(body) === piece + piece).toBe(true)
  })
})

import { expect, test } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { parseDefinition, parseResource } from '../src/parse-documents.ts'

const PIECES = ['[', ']', '{', '}', '"', '\\', ',', ':', 'null', '1e999', '-1', '__proto__', 'constructor']

/**
 * Mutates stored documents and reads them: each is a resource of its kind, or refused as corrupt. A failure
 * names its seed.
 */
export function mutatedDocuments(rounds: number): void {
  test(`${rounds} mutated documents are resources, or are refused`, { timeout: 600_000 }, () => {
    const seed = seedOf()
    const below = randomOf(seed)
    const definition = sampleDefinition({ sql: 'select 1 as id' })
    const texts = [definition, ...Object.values(definition)].map(each => JSON.stringify(each))
    for (let round = 0; round < rounds; round += 1) {
      let text = texts[below(texts.length)] ?? ''
      for (let changes = below(4); changes >= 0; changes -= 1) {
        const at = below(text.length)
        const piece = (PIECES[below(PIECES.length)] ?? '').repeat(below(20) === 0 ? 200_000 : 1)
        text = text.slice(0, at) + piece + text.slice(at + below(4))
      }
      const where = `SLUICE_TEST_SEED=${seed} round ${round}`
      const before = performance.now()
      try {
        expect(Object.hasOwn(parseResource(text), '__proto__'), where).toBe(false)
      } catch (error) {
        expect(isSluiceError(error, 'corrupt'), `${where}: ${String(error)}`).toBe(true)
      }
      parseDefinition(text)
      expect(performance.now() - before, where).toBeLessThan(5_000)
    }
  })
}

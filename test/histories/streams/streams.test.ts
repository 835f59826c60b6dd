/** Random histories of streams, and the mistakes that they have to notice. */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MISTAKES } from './mistakes.ts'
import { playStream } from './play-stream.ts'

const HISTORIES = 1_500
/** Some mistakes do harm only if three rare things come together. The same histories show them each time. */
const UNTIL_NOTICED = 15_000
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

describe(`random histories of streams (SLUICE_TEST_SEED=${SEED})`, () => {
  it('end with what the table has, let no row go back, and send nothing that is not needed', () => {
    let requests = 0
    for (let index = 0; index < HISTORIES; index += 1) requests += playStream(SEED + index)
    expect(requests).toBeGreaterThan(10 * HISTORIES)
  }, 120_000)

  it.each(MISTAKES)(
    'notice a detector or a delivery that %s',
    mistake => {
      expect(() => {
        for (let index = 0; index < UNTIL_NOTICED; index += 1) playStream(index, mistake)
      }).toThrow('seed')
    },
    120_000,
  )
})

import { describe, expect, it } from 'vitest'
import { isMarkerKey, keyText, textKey } from './topics.ts'

describe('the key of a record', () => {
  it(
    'gives back every character of the text that it was made of, alone, in front and behind',
    { timeout: 60_000 },
    () => {
      for (let code = 0; code < 0x110000; code++) {
        if (code === 0xd800) code = 0xe000
        const character = String.fromCodePoint(code)
        for (const text of [character, `${character}x${character}`]) {
          const key = textKey(text)
          if (keyText(key) !== text || isMarkerKey(key)) expect(code).toBe(text)
        }
      }
    },
  )
})

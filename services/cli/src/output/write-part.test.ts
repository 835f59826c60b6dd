import { expect, it } from 'vitest'
import { writePart } from './write-part.ts'

it('a part is written once a slow reader has taken it, and at once for any other reader', async () => {
  let takes = (): void => undefined
  const slow = {
    write: (_: string, done?: () => void): boolean => {
      takes = done ?? takes
      return false
    },
  }
  let isWritten = false
  const written = writePart(slow, 'part').then(() => (isWritten = true))
  await Promise.resolve()
  expect(isWritten).toBe(false)
  takes()
  await written
  let text = ''
  await writePart({ write: part => (text += part) }, 'part')
  expect(text).toBe('part')
})

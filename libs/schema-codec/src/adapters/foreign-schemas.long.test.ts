/** A registry answers that wants the time or the memory of this process. */
import { describe, expect, it } from 'vitest'
import { askedOf } from '../../test/asked-registry.ts'

describe('a registry of a stranger', { timeout: 60_000 }, () => {
  it('is heard no longer than a schema takes', async () => {
    let taken = 0
    const piece = Buffer.alloc(1_000_000, ' ')
    const asked = askedOf(response => {
      const more = (): void => {
        while (!response.destroyed && taken < 2_000_000_000 && response.write(piece)) taken += piece.length
      }
      response.on('drain', more)
      more()
    })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
    expect(taken).toBeLessThan(1_000_000_000)
  })

  it('is not heard for ever, however slowly it answers', async () => {
    const asked = askedOf(response => {
      const timer = setInterval(() => response.write(' '), 500)
      response.once('close', () => clearInterval(timer))
    })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
  })
})

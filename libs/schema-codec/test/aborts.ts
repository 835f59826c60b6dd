import { expect, it } from 'vitest'
import { SCHEMAS } from '@sluice/contracts/avro/schemas'
import type { Fixture } from './fixture.ts'

export function abortContract(fixture: Fixture): void {
  const reason = new Error('enough')

  it('ends a wait with the reason of the signal, and leaves others at work', async () => {
    const codec = fixture.open()
    const subject = fixture.subject()
    const controller = new AbortController()
    const stopped = codec.encoder(subject, SCHEMAS.Marker, { signal: controller.signal })
    const other = codec.encoder(subject, SCHEMAS.Marker, { signal: fixture.signal })
    controller.abort(reason)
    await expect(stopped).rejects.toBe(reason)
    expect((await other).schemaId).toBeGreaterThan(0)
  })

  it('does nothing for a signal that is aborted already', async () => {
    const codec = fixture.open()
    const signal = AbortSignal.abort(reason)
    await expect(codec.encoder(fixture.subject(), SCHEMAS.Marker, { signal })).rejects.toBe(reason)
    await expect(codec.decode([], { signal })).rejects.toBe(reason)
  })

  it('makes no call once it is closed', async () => {
    const codec = fixture.open()
    await codec[Symbol.asyncDispose]()
    const { signal } = fixture
    await expect(codec.encoder(fixture.subject(), SCHEMAS.Marker, { signal })).rejects.toMatchObject({
      code: 'aborted',
    })
    const unknown = Buffer.from('0000ffffff00', 'hex')
    await expect(codec.decode([unknown], { signal })).rejects.toMatchObject({ code: 'aborted' })
  })
}

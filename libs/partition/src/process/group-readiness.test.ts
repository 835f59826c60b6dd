import { expect, it } from 'vitest'
import { GroupReadiness } from './group-readiness.ts'

it('a process is ready while it joins the group of a run, unless that takes too long', () => {
  let at = 0
  const readiness = new GroupReadiness(null, () => at)
  expect(readiness.check()).toEqual({ ok: true })
  readiness.joining('delivery.a')
  at += 10_000
  // A group that is tried again is still the one that takes so long.
  readiness.joining('delivery.a')
  expect(readiness.check()).toEqual({ ok: true })
  readiness.joining('delivery.b')
  at += 10_000
  expect(readiness.check()).toEqual({ ok: false, detail: 'joining the group delivery.a' })
  readiness.joined('delivery.a')
  expect(readiness.check()).toEqual({ ok: true })
  at += 10_000
  expect(readiness.check()).toEqual({ ok: false, detail: 'joining the group delivery.b' })
  readiness.left('delivery.b')
  expect(readiness.check()).toEqual({ ok: true })
})

it('a process is not ready while it is out of the group that it always has to be in', () => {
  const readiness = new GroupReadiness('detector', () => 0)
  expect(readiness.check()).toEqual({ ok: false, detail: 'joining the group detector' })
  readiness.joined('detector')
  expect(readiness.check()).toEqual({ ok: true })
  readiness.joining('detector')
  expect(readiness.check()).toEqual({ ok: false, detail: 'joining the group detector' })
})

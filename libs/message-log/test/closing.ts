import { expect, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { codeOf, codeOfFirstStep, keysIn, record, records, until, Watched, type Fixture } from './fixture.ts'

export function closingContract(fixture: Fixture): void {
  test('a log opened again has all acknowledged records', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    {
      await using log = await fixture.harness.open()
      await log.append(target, records('a', 5), { signal })
      await using writer = await log.openWriter(fixture.name('writer'), { signal })
      await writer.append(target, records('b', 5), { signal })
      await log.trim(target, 2, { signal })
    }
    await using again = await fixture.harness.open()
    expect(await again.offsets(target, { signal })).toEqual({ low: 2, end: 10 })
    expect(await keysIn(again, target, { signal })).toHaveLength(8)
  })

  test('closing waits for appends under way and ends memberships', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const log = await fixture.harness.open()
    const changes = new Notifier()
    const group = fixture.name('group')
    const member = new Watched(await log.join(group, [target.topic], { signal }), changes)
    await until(changes, { signal }, () => member.owned.length === 1)
    const appends = [1, 2, 3].map(i => log.append(target, [record(`${i}`)], { signal }))
    await log[Symbol.asyncDispose]()
    await Promise.all(appends)
    expect(await member.ended).toBeNull()
    await log[Symbol.asyncDispose]()
    expect(await keysIn(fixture.log, target, { signal })).toHaveLength(3)
    await using next = new Watched(await fixture.log.join(group, [target.topic], { signal }), changes)
    await until(changes, { signal }, () => next.owned.length === 1)
  })

  test('a closed log refuses all calls, and a waiting reader gets an error', async ({ signal }) => {
    const target = await fixture.partition({ signal })
    const log = await fixture.harness.open()
    const waiting = codeOfFirstStep(log.read(target, { signal, from: 0 }))
    await log.offsets(target, { signal })
    await log[Symbol.asyncDispose]()
    expect(await waiting).toBe('aborted')
    expect(await codeOf(log.append(target, [record('late')], { signal }))).toBe('aborted')
    expect(await codeOf(log.offsets(target, { signal }))).toBe('aborted')
    expect(await codeOf(log.openWriter(fixture.name('writer'), { signal }))).toBe('aborted')
    expect(await codeOf(log.join(fixture.name('group'), [target.topic], { signal }))).toBe('aborted')
    expect(await codeOfFirstStep(log.read(target, { signal, from: 0 }))).toBe('aborted')
    expect(await fixture.log.offsets(target, { signal })).toEqual({ low: 0, end: 0 })
  })
}

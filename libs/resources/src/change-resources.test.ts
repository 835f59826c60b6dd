import { describe, expect, it } from 'vitest'
import type { Owner } from '@sluice/contracts/document-records'
import type { FencedWriter, MessageLog } from '@sluice/message-log/port'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics } from '@sluice/topics/topics'
import { changeResources, PAST_KEPT, writeResources, type ResourceChange } from './change-resources.ts'
import { endDeletion, incarnationOf, knownIncarnation } from './incarnations.ts'
import { readResources, readStored } from './stored-resources.ts'

const { signal } = new AbortController()
const BY = { by: 'ada', signal }
const put = (name: string, spec: string, kind = 'model'): ResourceChange => ({
  ...{ kind, name },
  next: { project: 'p', spec },
})
const specs = async (world: TestLog): Promise<object> =>
  Object.fromEntries([...(await readResources(world, { signal }))].map(([key, { spec }]) => [key, spec]))
const stored = (world: TestLog) => readStored(world, { signal, withPast: true })

/** A log whose writers do as `before` says ahead of each append, which counts them. */
function watched(log: MessageLog, before: (appends: number) => Promise<void>): MessageLog {
  let appends = 0
  const watching = (writer: FencedWriter): FencedWriter =>
    new Proxy(writer, {
      get: (of, name: keyof FencedWriter) => {
        if (name === 'append')
          return async (...args: Parameters<FencedWriter['append']>) => {
            appends += 1
            await before(appends)
            return await of.append(...args)
          }
        const value: unknown = of[name]
        return typeof value === 'function' ? (value.bind(of) as unknown) : value
      },
    })
  return new Proxy(log, {
    get: (of, name: keyof MessageLog) =>
      name === 'openWriter'
        ? async (...args: Parameters<MessageLog['openWriter']>) => watching(await of.openWriter(...args))
        : of[name].bind(of),
  })
}

describe('a change', () => {
  it('says who made it and when, and keeps what was before', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await changeResources(world, () => [put('m', '1')], BY)
    await changeResources(world, () => [put('m', '2')], { by: 'bob', signal })
    const { resources, past } = await stored(world)
    expect(resources.get('model/m')).toMatchObject({ spec: '2', version: 2, by: 'bob' })
    expect([...past.values()]).toMatchObject([{ spec: '1', version: 1, by: 'ada', kind: 'history' }])
    expect(resources.get('model/m')?.at).toBeGreaterThanOrEqual(past.get('history/model/m/1')?.at ?? Infinity)
  })

  it('of nothing writes nothing', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const resource = { kind: 'model', name: 'm', spec: '{"a":1,"b":2}' }
    const of = { owner: { project: 'p' }, signal }
    expect((await writeResources(world, [resource], of)).written).toBe(1)
    const { end } = await world.log.offsets(at(sharedTopics(PREFIX).resources, 0), { signal })
    expect((await writeResources(world, [{ ...resource, spec: '{"b":2,"a":1}' }], of)).written).toBe(0)
    expect((await world.log.offsets(at(sharedTopics(PREFIX).resources, 0), { signal })).end).toBe(end)
  })

  it.each<
    [
      whose: string,
      stored: [project: string, folder: string | null, spec: string],
      owner: Owner,
      'own' | 'joins' | 'others',
    ]
  >([
    ['its own', ['p', null, 'old'], { project: 'p' }, 'own'],
    ["another project's", ['q', null, 'old'], { project: 'p' }, 'others'],
    ["another project's that is the same", ['q', null, 'new'], { project: 'p' }, 'others'],
    ['of the server', ['', null, 'old'], { project: 'p' }, 'others'],
    ['of the server and the same', ['', null, 'new'], { project: 'p' }, 'joins'],
    ['of a folder that is called alike', ['p', '/a', 'old'], { project: 'p', folder: '/b' }, 'others'],
    ['the same of a folder that is called alike', ['p', '/a', 'new'], { project: 'p', folder: '/b' }, 'own'],
    ['of the same folder', ['p', '/a', 'old'], { project: 'p', folder: '/a' }, 'own'],
    ['of a folder whose project has a name by now', ['p', '/a', 'old'], { project: 'p' }, 'own'],
    ['of an earlier version', ['p', null, 'old'], { project: 'p', folder: '/b' }, 'own'],
    ['the first of a folder', ['q', null, 'old'], { project: 'p', isOnly: true }, 'joins'],
    ['of the server, in such a folder', ['', null, 'old'], { project: 'p', isOnly: true }, 'others'],
  ])(
    'of a resource that is %s changes it, or leaves it alone and says so',
    async (...[, stored, owner, whose]) => {
      await using world = await openTestLog({ partitions: 0 })
      const [project, folder, before] = stored
      const next = { project, folder, spec: JSON.stringify(before) }
      await changeResources(world, () => [{ kind: 'model', name: 'm', next }], BY)
      const { others } = await writeResources(world, [{ kind: 'model', name: 'm', spec: '"new"' }], {
        owner,
        signal,
      })
      expect(others.map(({ name }) => name)).toEqual(whose === 'others' ? ['m'] : [])
      const after = (await readResources(world, { signal })).get('model/m')
      expect(after).toMatchObject(
        whose === 'others' ? { project, spec: next.spec } : { project: owner.project, spec: '"new"' },
      )
    },
  )

  it('takes away what is gone from a whole project, and nothing of another', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const of = (project: string, name: string): ResourceChange => ({
      kind: 'model',
      name,
      next: { project, spec: '1' },
    })
    await changeResources(world, () => [of('p', 'm'), of('p', 'gone'), of('q', 'theirs')], BY)
    const whole = { owner: { project: 'p' }, signal, isWhole: true }
    await writeResources(world, [{ kind: 'model', name: 'm', spec: '1' }], whole)
    expect(Object.keys(await specs(world))).toEqual(['model/m', 'model/theirs'])
  })

  it('sees what another process has changed meanwhile, so that no update is lost', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await changeResources(world, () => [put('m', '0')], BY)
    const add = (of: string) => (known: ReadonlyMap<string, { readonly spec: string }>) => [
      put('m', `${known.get('model/m')?.spec ?? ''}${of}`),
    ]
    // The other one is faster, right before the record of this one is appended.
    const log = watched(world.log, async appends => {
      if (appends === 2) await changeResources(world, add('b'), BY)
    })
    await changeResources({ ...world, log }, add('a'), BY)
    expect((await specs(world)) as Record<string, string>).toMatchObject({ 'model/m': '0ba' })
    const at10 = Array.from({ length: 10 }, (_, index) => changeResources(world, add(String(index)), BY))
    await Promise.all(at10)
    const { spec = '' } = (await stored(world)).resources.get('model/m') ?? {}
    expect(spec.slice(3).split('').toSorted().join('')).toBe('0123456789')
  })

  it('ends with what its author says, and then nothing is changed', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const refused = new Error('not based on this')
    const decide = (): never => {
      throw refused
    }
    await expect(changeResources(world, decide, BY)).rejects.toBe(refused)
    expect(await specs(world)).toEqual({})
  })

  it('keeps so many versions and no more, and goes on counting after a removal', async () => {
    await using world = await openTestLog({ partitions: 0 })
    for (let version = 1; version <= PAST_KEPT + 3; version += 1)
      await changeResources(world, () => [put('m', String(version))], BY)
    const { past } = await stored(world)
    expect(past.size).toBe(PAST_KEPT)
    expect(past.has('history/model/m/3')).toBe(true)
    await changeResources(world, () => [{ kind: 'model', name: 'm', next: null }], BY)
    expect(await specs(world)).toEqual({})
    await changeResources(world, () => [put('m', 'again')], BY)
    expect((await stored(world)).resources.get('model/m')?.version).toBe(PAST_KEPT + 5)
  })
})

describe('a change that is larger than one append', () => {
  const text = 'x'.repeat(100_000)
  const many = Array.from({ length: 30 }, (_, index) => put(`m${index}`, `${text}${index}`))

  it('counts as a whole or not at all, wherever the process dies', async () => {
    for (let dies = 2; dies <= 4; dies += 1) {
      await using world = await openTestLog({ partitions: 0 })
      await changeResources(world, () => [put('m0', 'old'), put('gone', 'old')], BY)
      const log = watched(world.log, async appends => {
        if (appends === dies) throw new Error('killed')
        await Promise.resolve()
      })
      const changes = [...many, { kind: 'model', name: 'gone', next: null }]
      await expect(changeResources({ ...world, log }, () => changes, BY)).rejects.toThrow('killed')
      const seen = await specs(world)
      if (dies === 2) expect(seen).toEqual({ 'model/m0': 'old', 'model/gone': 'old' })
      else expect(Object.keys(seen)).toHaveLength(many.length)
      // The next one who changes something brings it to its end, and takes nothing back.
      await changeResources(world, () => [put('m1', 'newer')], BY)
      const after = await stored(world)
      expect(after.inSets.size).toBe(0)
      expect(after.resources.get('model/m1')?.spec).toBe('newer')
      expect(after.resources.get('model/m2')?.spec).toBe(dies === 2 ? undefined : `${text}2`)
      expect(after.resources.has('model/gone')).toBe(dies === 2)
    }
  })

  it('is refused beyond what a record may be', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const huge = Array.from({ length: 6 }, (_, index) => put(`m${index}`, 'x'.repeat(4_900_000)))
    await expect(changeResources(world, () => huge, BY)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(
        /^The change is too large: .* Make the change in several steps: `sluice apply`/,
      ),
    })
    await expect(changeResources(world, () => [put('m', 'x'.repeat(11_000_001))], BY)).rejects.toMatchObject({
      message: expect.stringContaining('The model `m` has 11000001 bytes'),
    })
    expect(await specs(world)).toEqual({})
  })
})

describe('a sync that is deleted', () => {
  it('is marked until its incarnation is gone, and cannot come back before', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await changeResources(world, () => [put('s', '1', 'sync'), put('never', '1', 'sync')], BY)
    await incarnationOf(world, 's', { signal })
    const gone = ['s', 'never'].map(name => ({ kind: 'sync', name, next: null }))
    await changeResources(world, () => gone, BY)
    // A sync that never ran has no incarnation.
    expect(Object.keys(await specs(world)).toSorted()).toEqual(['deletion/s', 'incarnation/s'])
    const again = changeResources(world, () => [put('s', '2', 'sync')], BY)
    await expect(again).rejects.toMatchObject({ code: 'conflict', retryable: true })
    await endDeletion(world, 's', { signal })
    expect(await knownIncarnation(world, 's', { signal })).toBeNull()
    await changeResources(world, () => [put('s', '2', 'sync')], BY)
    expect(await specs(world)).toEqual({ 'sync/s': '2' })
  })

  it('keeps its incarnation where it is only gone from a folder', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await changeResources(world, () => [put('s', '1', 'sync')], BY)
    const incarnation = await incarnationOf(world, 's', { signal })
    await changeResources(world, () => [{ kind: 'sync', name: 's', next: null }], { ...BY, keepsState: true })
    expect(await specs(world)).toEqual({ 'incarnation/s': incarnation })
  })
})

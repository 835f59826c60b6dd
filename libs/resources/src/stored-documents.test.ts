import { expect, it } from 'vitest'
import type { Definition } from '@sluice/contracts/resources'
import type { MessageLog } from '@sluice/message-log/port'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { incarnationOf } from './incarnations.ts'
import { currentDefinition, Definitions, parseResource, writeResources } from './stored-documents.ts'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'

const { signal } = new AbortController()
const reason = new Error('the worker drains')
const TOPIC = at(sharedTopics(PREFIX).definitions, 0)

const definitionOf = (sql: string): Definition => sampleDefinition({ sql })

/** A log whose reads of definitions wait for what the test says, once they know where they end. */
function gated(world: TestLog, gate: () => Promise<void>): MessageLog {
  return new Proxy(world.log, {
    get: (log, name: keyof MessageLog) => {
      if (name !== 'read') return log[name].bind(log)
      const read: MessageLog['read'] = (target, options) =>
        (async function* () {
          await gate()
          options.signal.throwIfAborted()
          yield* log.read(target, options)
        })()
      return read
    },
  })
}

it('reads on for the others when the one who began the read goes away', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const hash = await world.definitions.put(definitionOf('select 1'), { signal })
  const opened = Promise.withResolvers<void>()
  const definitions = new Definitions({ ...world, log: gated(world, () => opened.promise) })
  const drains = new AbortController()
  const first = definitions.get(hash, { signal: drains.signal })
  const second = definitions.get(hash, { signal })
  drains.abort(reason)
  await expect(first).rejects.toBe(reason)
  opened.resolve()
  expect((await second).model).toMatchObject({ sql: 'select 1' })
})

it('finds what was written while others were reading', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const early = await world.definitions.put(definitionOf('select 1'), { signal })
  const opened = Promise.withResolvers<void>()
  const reading = Promise.withResolvers<void>()
  const gate = (): Promise<void> => {
    reading.resolve()
    return opened.promise
  }
  const definitions = new Definitions({ ...world, log: gated(world, gate) })
  const first = definitions.get(early, { signal })
  await reading.promise
  const late = await world.definitions.put(definitionOf('select 2'), { signal })
  const second = definitions.get(late, { signal })
  opened.resolve()
  await first
  expect((await second).model).toMatchObject({ sql: 'select 2' })
})

it('keeps what fits, and finds what it has let go of again', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const hashes: string[] = []
  for (const sql of ['select 1', 'select 2', 'select 3'])
    hashes.push(await world.definitions.put(definitionOf(sql), { signal }))
  const definitions = new Definitions(world, { keptText: 1 })
  for (const [index, hash] of [...hashes, ...hashes].entries())
    expect((await definitions.get(hash, { signal })).model).toMatchObject({
      sql: `select ${1 + (index % 3)}`,
    })
})

it('a document that is no definition is corrupt for the caller that asks for it, and for no other', async () => {
  await using world = await openTestLog({ partitions: 0 })
  for (const [hash, spec] of [
    ['torn', '{"sync":'],
    ['other', '[]'],
  ] as const)
    await world.append(TOPIC, [
      { key: textKey(hash), value: world.io.encode('DefinitionRecord', { hash, spec }) },
    ])
  const hash = await world.definitions.put(definitionOf('select 1'), { signal })
  const definitions = new Definitions(world)
  expect((await definitions.get(hash, { signal })).model).toMatchObject({ sql: 'select 1' })
  for (const wrong of ['torn', 'other'])
    await expect(definitions.get(wrong, { signal })).rejects.toMatchObject({ code: 'corrupt' })
  await expect(definitions.get('none', { signal })).rejects.toMatchObject({ code: 'not-found' })
})

it('a resource that cannot be read concerns those who want it, and nobody else', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const { sync, model, source, destination } = definitionOf('select 1')
  const written = [sync, model, source, destination, { ...sync, name: 'other' }].map(spec => ({
    ...{ kind: spec.kind, name: spec.name, project: 'p' },
    spec: JSON.stringify(spec),
  }))
  await writeResources(world, written, { signal })
  await incarnationOf(world, 'other', { signal })
  const value = new TextEncoder().encode('no Avro')
  const torn = ['sync/other', 'incarnation/other'].map(key => ({ key: textKey(key), value }))
  await world.append(at(sharedTopics(PREFIX).resources, 0), torn)
  expect((await currentDefinition(world, sync.name, { signal })).model).toMatchObject({ sql: 'select 1' })
  await incarnationOf(world, sync.name, { signal })
  for (const asked of [currentDefinition, incarnationOf])
    await expect(asked(world, 'other', { signal })).rejects.toMatchObject({ code: 'corrupt' })
})

it('a stored document that is no resource is corrupt, be it JSON or not', () => {
  for (const text of ['{"kind":', '[]', '{"kind":"sync"}'])
    expect(() => parseResource(text)).toThrow(expect.objectContaining({ code: 'corrupt' }))
})

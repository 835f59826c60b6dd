import { describe, expect, it } from 'vitest'
import type { Definition } from '@sluice/contracts/resources'
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { incarnationOf, renewIncarnation } from './incarnations.ts'
import { parseDefinition, parseResource } from './parse-documents.ts'
import { assertKeyFits, currentDefinition, Definitions, announceSigning } from './stored-documents.ts'
import { writeResources } from './change-resources.ts'
import { plainRecord } from './stored-resources.ts'
import { ForeignRecords, type ForeignRecord } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { Signatures } from '@sluice/topics/signatures'
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
    ...{ kind: spec.kind, name: spec.name },
    spec: JSON.stringify(spec),
  }))
  await writeResources(world, written, { owner: { project: 'p' }, signal })
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
  const { sync, source } = definitionOf('select 1')
  const others = [
    { ...sync, timeout: '30s' },
    { ...sync, timeout: -1 },
    { ...sync, name: '../other' },
    { ...sync, more: 1 },
    { ...source, kind: 'constructor' },
  ].map(each => JSON.stringify(each))
  const hostile = [
    JSON.stringify(sync).replace('{', '{"__proto__":{"name":"x"},'),
    JSON.stringify(sync).replace('{', '{"\\u005f_proto__":{"name":"x"},'),
    '['.repeat(4_000_000),
    `[${'[],'.repeat(1_000_000)}[]]`,
    `${JSON.stringify(sync)}${' '.repeat(11_000_000)}`,
  ]
  for (const text of ['{"kind":', '[]', '{"kind":"sync"}', ...others, ...hostile])
    expect(() => parseResource(text)).toThrow(expect.objectContaining({ code: 'corrupt' }))
})

it('a resource and a definition are read as they were stored', () => {
  const definition = definitionOf('select 1')
  for (const spec of [definition.sync, definition.model, definition.source, definition.destination])
    expect(parseResource(JSON.stringify(spec))).toEqual(spec)
  expect(parseDefinition(JSON.stringify(definition))).toEqual(definition)
  expect(parseDefinition(JSON.stringify({ ...definition, model: definition.source }))).toBeNull()
})

it('a definition under the hash of another is none', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const definition = definitionOf('select 1')
  const hash = await world.definitions.put(definition, { signal })
  const spec = JSON.stringify(definitionOf('select 2'))
  await world.append(TOPIC, [
    { key: textKey(hash), value: world.io.encode('DefinitionRecord', { hash, spec }) },
  ])
  const definitions = new Definitions(world)
  expect((await definitions.get(hash, { signal })).model).toMatchObject({ sql: 'select 1' })
})

describe('where a key is set', () => {
  const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64')

  /** The parts of a process with that key, on the same log. */
  async function processWith(world: TestLog, keys: string | undefined): Promise<TestLog & Heard> {
    const codec = createSqliteCodec({ file: world.file })
    const heard: ForeignRecord[] = []
    const foreign = new ForeignRecords(record => void heard.push(record))
    const io = await RecordIo.open(codec, PREFIX, { signatures: Signatures.of(keys), foreign, signal })
    return { ...world, io, heard }
  }
  interface Heard {
    readonly heard: readonly ForeignRecord[]
  }
  const stored = (sql: string): Parameters<typeof writeResources>[1] => {
    const { sync, model, source, destination } = definitionOf(sql)
    return [sync, model, source, destination].map(spec => ({
      ...{ kind: spec.kind, name: spec.name, spec: JSON.stringify(spec) },
    }))
  }

  it('what is not signed, or with another key, changes no resource, and is told of once', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const ours = await processWith(world, key(1))
    await writeResources(ours, stored('select 1'), { owner: { project: 'p' }, signal })
    for (const other of [undefined, key(2)])
      await writeResources(await processWith(world, other), stored('select 2'), {
        owner: { project: 'p' },
        signal,
      })
    const gone = { key: textKey('sync/s'), value: null }
    await world.append(at(sharedTopics(PREFIX).resources, 0), [gone])
    for (let times = 0; times < 2; times += 1) {
      const { model } = await currentDefinition(ours, SYNC, { signal })
      expect(model).toMatchObject({ sql: 'select 1' })
    }
    // The marker of each writer, and what each resource was, mean nothing to whoever reads what there is.
    expect(ours.heard.map(({ offset }) => offset).slice(0, 2)).toEqual([7, 9])
    expect(ours.heard[0]?.error.message).toContain('has no signature')
    expect(new Set(ours.heard.map(({ offset }) => offset)).size).toBe(ours.heard.length)
  })

  it('an earlier key still counts while it stands behind the new one', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await writeResources(await processWith(world, key(1)), stored('select 1'), {
      owner: { project: 'p' },
      signal,
    })
    const rotated = await processWith(world, `${key(2)},${key(1)}`)
    expect((await currentDefinition(rotated, SYNC, { signal })).model).toBeDefined()
    const without = await processWith(world, key(2))
    await expect(currentDefinition(without, SYNC, { signal })).rejects.toMatchObject({
      code: 'not-found',
    })
  })

  it('definitions and incarnations are signed, too', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const ours = await processWith(world, key(1))
    const hash = await new Definitions(ours).put(definitionOf('select 1'), { signal })
    const incarnation = await incarnationOf(ours, 'other', { signal })
    const again = await processWith(world, key(1))
    expect((await new Definitions(again).get(hash, { signal })).model).toMatchObject({ sql: 'select 1' })
    expect(await incarnationOf(again, 'other', { signal })).toBe(incarnation)
    expect([...ours.heard, ...again.heard]).toEqual([])
    const stranger = await processWith(world, key(2))
    await expect(new Definitions(stranger).get(hash, { signal })).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('a command without the key of the services, or with another, is told so before it asks', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await writeResources(world, stored('select 1'), { owner: { project: 'p' }, signal })
    const [ours, other] = [await processWith(world, key(1)), await processWith(world, key(2))]
    for (const each of [world, ours, other]) await assertKeyFits(each, { signal })
    await incarnationOf(ours, 'other', { signal })
    await assertKeyFits(ours, { signal })
    await expect(assertKeyFits(world, { signal })).rejects.toThrow(/SLUICE_SIGNING_KEY is not set here/)
    await expect(assertKeyFits(other, { signal })).rejects.toThrow(/SLUICE_SIGNING_KEY is another one here/)
  })

  it('a service tells once that it has a key, so that whoever has none, or another, hears so at once', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const target = at(sharedTopics(PREFIX).resources, 0)
    await announceSigning(world, { signal })
    expect(await world.read(target)).toHaveLength(0)
    const ours = await processWith(world, key(1))
    await assertKeyFits(world, { signal })
    for (let times = 0; times < 2; times += 1) await announceSigning(ours, { signal })
    expect(await world.read(target)).toHaveLength(1)
    await expect(assertKeyFits(world, { signal })).rejects.toThrow(/SLUICE_SIGNING_KEY is not set here/)
    await assertKeyFits(ours, { signal })
    const changing = await processWith(world, `${key(2)},${key(1)}`)
    await announceSigning(changing, { signal })
    expect(await world.read(target)).toHaveLength(2)
    expect(ours.heard).toEqual([])
  })

  it('an incarnation from before the key still counts, and none without it takes the place of a signed one', async () => {
    await using world = await openTestLog({ partitions: 0 })
    const before = await incarnationOf(world, 'old', { signal })
    const ours = await processWith(world, key(1))
    expect(await incarnationOf(ours, 'old', { signal })).toBe(before)
    const own = await renewIncarnation(ours, { sync: 'old', old: before }, { signal })
    const forged = plainRecord('incarnation', 'old', 'forged')
    await world.append(at(sharedTopics(PREFIX).resources, 0), [
      { key: textKey('incarnation/old'), value: world.io.encode('ResourceRecord', forged) },
      { key: textKey('incarnation/old'), value: null },
    ])
    expect(await incarnationOf(ours, 'old', { signal })).toBe(own)
  })

  it('a signature holds for one topic, one key and one value', () => {
    const signatures = Signatures.of(key(1))
    const record = { key: textKey('a'), value: textKey('b') }
    const signature = signatures?.sign('t', record) ?? new Uint8Array()
    const verify = (topic: string, of: NewRecord): boolean | undefined =>
      signatures?.verify(topic, { signature, ...of })
    expect(verify('t', record)).toBe(true)
    for (const [topic, of] of [
      ['u', record],
      ['t', { ...record, key: textKey('ab') }],
      ['t', { ...record, value: null }],
      ['t', { key: textKey('ab'), value: textKey('') }],
      ['t', { ...record, signature: signature.subarray(1) }],
    ] as const)
      expect(verify(topic, of)).toBe(false)
    for (const wrong of ['short', `${key(1)},`, key(1).slice(4)])
      expect(() => Signatures.of(wrong)).toThrow(expect.objectContaining({ code: 'config' }))
  })
})

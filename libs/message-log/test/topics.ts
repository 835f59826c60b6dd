import { expect, test } from 'vitest'
import { codeOf, codeOfFirstStep, keysIn, record, records, type Fixture } from './fixture.ts'

export function topicContract(fixture: Fixture): void {
  test('a topic can be written and read as soon as it is made', async ({ signal }) => {
    const names = Array.from({ length: 10 }, () => fixture.name())
    const specs = names.map(topic => ({ topic, partitions: 2, cleanup: 'delete' as const }))
    await fixture.log.ensureTopics(specs, { signal })
    const targets = names.flatMap(topic => [0, 1].map(partition => ({ topic, partition })))
    await Promise.all(targets.map(target => fixture.log.append(target, [record('a')], { signal })))
    for (const target of targets) expect(await keysIn(fixture.log, target, { signal })).toEqual(['a'])
  })

  test('a topic made twice keeps its records', async ({ signal }) => {
    const target = await fixture.partition({ signal }, { partitions: 3 })
    await fixture.log.append(target, records('r', 3), { signal })
    await using other = await fixture.harness.open()
    const spec = { topic: target.topic, partitions: 3, cleanup: 'compact' as const }
    await Promise.all([1, 2].map(() => other.ensureTopics([spec, spec], { signal })))
    expect(await keysIn(other, target, { signal })).toEqual(['r-0', 'r-1', 'r-2'])
  })

  test('an existing topic takes larger records once a spec asks for them', async ({ signal }) => {
    const { log } = fixture
    const spec = { topic: fixture.name(), partitions: 1, cleanup: 'delete' as const }
    const target = { topic: spec.topic, partition: 0 }
    await log.ensureTopics([spec], { signal })
    const large = record('large', 'x'.repeat(4_000_000))
    expect(await codeOf(log.append(target, [large], { signal }))).toBe('too-large')
    await using other = await fixture.harness.open()
    await other.ensureTopics([{ ...spec, maxRecordBytes: 5_000_000 }], { signal })
    // A broker applies a changed setting some time after its answer.
    let outcome: unknown
    do outcome = await codeOf(log.append(target, [large], { signal }))
    while (outcome === 'too-large')
    // A later spec with a smaller limit does not lower it.
    await other.ensureTopics([spec], { signal })
    await log.append(target, [large], { signal })
    expect(await keysIn(log, target, { signal })).toEqual(['large', 'large'])
  })

  test('two processes that make the same topic at the same time both succeed', async ({ signal }) => {
    await using other = await fixture.harness.open()
    const spec = { topic: fixture.name(), partitions: 2, cleanup: 'compact' as const }
    await Promise.all([fixture.log, other].map(log => log.ensureTopics([spec], { signal })))
    expect(await other.partitionsOf(spec.topic, { signal })).toBe(2)
  })

  test('another number of partitions is a conflict that names topic and numbers', async ({ signal }) => {
    const topic = await fixture.topic({ signal }, { partitions: 2 })
    const refused = fixture.log.ensureTopics([{ topic, partitions: 3, cleanup: 'delete' }], { signal })
    await expect(refused).rejects.toMatchObject({ code: 'conflict' })
    await expect(refused).rejects.toThrow(new RegExp(`${topic}.*2.*3`))
    expect(await fixture.log.partitionsOf(topic, { signal })).toBe(2)
  })

  test('a topic that does not exist has no partitions, and deleting it does nothing', async ({ signal }) => {
    const missing = fixture.name()
    const topic = await fixture.topic({ signal })
    expect(await fixture.log.partitionsOf(missing, { signal })).toBeNull()
    await fixture.log.deleteTopics([missing, topic, missing], { signal })
    expect(await fixture.log.partitionsOf(topic, { signal })).toBeNull()
  })

  test('a topic that is deleted and made again starts empty at offset 0', async ({ signal }) => {
    const { log } = fixture
    const spec = { topic: fixture.name(), partitions: 2, cleanup: 'compact' as const }
    const target = { topic: spec.topic, partition: 1 }
    await log.ensureTopics([spec], { signal })
    await log.append(target, records('old', 50), { signal })
    for (let round = 0; round < 3; round += 1) {
      await log.deleteTopics([spec.topic], { signal })
      await log.ensureTopics([{ ...spec, partitions: 2 + round }], { signal })
      expect(await log.offsets(target, { signal })).toEqual({ low: 0, end: 0 })
      const { baseOffset } = await log.append(target, records(`new${round}`, 2), { signal })
      expect(baseOffset).toBe(0)
      expect(await keysIn(log, target, { signal })).toEqual([`new${round}-0`, `new${round}-1`])
    }
  })

  test('a writer opened before a topic was made again can write to it or is refused, but loses nothing', async ({
    signal,
  }) => {
    const { log } = fixture
    const target = await fixture.partition({ signal })
    await using writer = await log.openWriter(fixture.name('writer'), { signal })
    await writer.append(target, records('old', 3), { signal })
    await log.deleteTopics([target.topic], { signal })
    await log.ensureTopics([{ topic: target.topic, partitions: 1, cleanup: 'delete' }], { signal })
    const outcome = await codeOf(writer.append(target, [record('new')], { signal }))
    const accepted = typeof outcome === 'object'
    expect(writer.state).toBe(accepted ? 'open' : 'dead')
    expect(await keysIn(log, target, { signal })).toEqual(accepted ? ['new'] : [])
  })

  test('every call for a topic or partition that does not exist rejects with not-found', async ({
    signal,
  }) => {
    const { log } = fixture
    const topic = await fixture.topic({ signal })
    const missing = fixture.name()
    for (const target of [
      { topic: missing, partition: 0 },
      { topic, partition: 1 },
    ]) {
      await using writer = await log.openWriter(fixture.name('writer'), { signal })
      expect(await codeOf(log.append(target, [record('a')], { signal }))).toBe('not-found')
      expect(await codeOf(writer.append(target, [record('a')], { signal }))).toBe('not-found')
      expect(await codeOf(log.offsets(target, { signal }))).toBe('not-found')
      expect(await codeOf(log.trim(target, 0, { signal }))).toBe('not-found')
      expect(await codeOfFirstStep(log.read(target, { signal, from: 0 }))).toBe('not-found')
      expect(await codeOfFirstStep(log.readBackwards(target, { signal }))).toBe('not-found')
    }
    expect(await codeOf(log.join(fixture.name('group'), [topic, missing], { signal }))).toBe('not-found')
    expect(await codeOf(log.committed(fixture.name('group'), missing, { signal }))).toBe('not-found')
  })
}

/** Somebody writes to `resources` who wants every process to hold it, or nobody to change anything. */
import { describe, expect, it } from 'vitest'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { changeResources } from './change-resources.ts'
import { incarnationOf } from './incarnations.ts'
import { plainRecord, readResources, readStored } from './stored-resources.ts'

const { signal } = new AbortController()
/** The next one could not be written. */
const LAST = Number.MAX_SAFE_INTEGER - 1

async function write(
  { log, ...world }: TestLog,
  records: readonly (readonly [key: string, record: ResourceRecord])[],
): Promise<void> {
  const target = at(sharedTopics(PREFIX).resources, 0)
  const encoded = records.map(([key, record]) => ({
    key: textKey(key),
    value: world.io.encode('ResourceRecord', record),
  }))
  await log.append(target, encoded, { signal })
}

const change = (world: TestLog, spec: string) =>
  changeResources(world, () => [{ kind: 'model', name: 'm', next: { project: 'p', spec } }], {
    by: 'ada',
    signal,
  })

describe('a forged record of a resource', () => {
  it.each([
    ['with the last version there is', 'model/m', { version: LAST }],
    ['of a past with the last version', `history/model/m/${LAST}`, { version: LAST }],
    ['with a version before the first', 'model/m', { version: -5 }],
  ])('%s leaves room for the next change', async (_, key, fields) => {
    await using world = await openTestLog({ partitions: 0 })
    await change(world, '1')
    await write(world, [[key, { ...plainRecord('model', 'm', '{}'), ...fields }]])
    await change(world, '2')
    await change(world, '3')
    const { resources } = await readStored(world, { signal, withPast: true })
    const { spec, version } = resources.get('model/m') ?? {}
    expect([spec, version]).toEqual(['3', 3])
    expect([...resources.keys()]).toEqual(['model/m'])
  })

  it('takes no memory beyond what all resources have, and the others stay what they are', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await change(world, '{"a":1}')
    // They take next to nothing of the topic once it is compressed.
    const text = 'x'.repeat(450_000)
    const spec = JSON.stringify(text)
    for (let n = 0; n < 130; n += 1)
      await write(world, [[`model/x${n}`, { ...plainRecord('model', `x${n}`, spec), text }]])
    await write(world, [['model/late', plainRecord('model', 'late', '{"b":2}')]])
    const resources = await readResources(world, { signal })
    const characters = [...resources.values()].reduce(
      (sum, each) => sum + each.spec.length + (each.text?.length ?? 0),
      0,
    )
    expect(characters).toBeLessThanOrEqual(100_000_000)
    expect(resources.get('model/m')?.spec).toBe('{"a":1}')
    expect(resources.get('model/x129')?.spec).toBe('')
  })

  it('is one of so many names', async () => {
    await using world = await openTestLog({ partitions: 0 })
    await change(world, '1')
    for (let n = 0; n < 102_000; n += 2_000)
      await write(
        world,
        Array.from({ length: 2_000 }, (_, i) => [`model/x${n + i}`, plainRecord('model', `x${n + i}`, '{}')]),
      )
    await change(world, '2')
    // It may have an incarnation that was not read, and must not begin anew with each run.
    await expect(incarnationOf(world, 's', { signal })).rejects.toThrow('more names than are read')
    const resources = await readResources(world, { signal })
    expect([resources.size, resources.get('model/m')?.spec]).toEqual([100_000, '2'])
  }, 60_000)
})

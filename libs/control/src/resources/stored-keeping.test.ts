import { describe, expect, it } from 'vitest'
import { changeResources } from '@sluice/resources/change-resources'
import { endDeletion, incarnationOf } from '@sluice/resources/incarnations'
import { deletionKey, readResources } from '@sluice/resources/stored-resources'
import { sampleDefinition, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import type { Pipeline } from '../pipeline.ts'
import { documentsHere } from './apart/document-work.ts'
import { StoredKeeping } from './stored-keeping.ts'
import { viewOf } from './written-resource.ts'

const { signal } = new AbortController()
const { sync } = sampleDefinition()
const spec = JSON.stringify(sync)

/** A sync was deleted by a process that died before its topics were gone. */
async function leftDeletion(): Promise<TestLog> {
  const world = await openTestLog({ partitions: 0 })
  await incarnationOf(world, SYNC, { signal })
  for (const next of [{ project: 'p', spec }, null])
    await changeResources(world, () => [{ kind: 'sync', name: SYNC, next }], { by: 'ada', signal })
  return world
}

describe('a sync whose deletion was left', () => {
  it('can be applied again, which ends the deletion first', async () => {
    await using world = await leftDeletion()
    const keeping = keepingOf(world)
    const { changes } = await keeping.apply(
      { project: 'p', resources: [viewOf(sync)], prune: false, takeOver: false },
      'bob',
      signal,
    )
    expect(changes).toMatchObject([{ kind: 'sync', name: SYNC, action: 'create' }])
    const stored = await readResources(world, { signal })
    expect([stored.has(`sync/${SYNC}`), stored.has(deletionKey(SYNC))]).toEqual([true, false])
  })
})

function keepingOf(world: TestLog): StoredKeeping {
  return new StoredKeeping({
    ...{ hasHistory: true, samples: null, documents: documentsHere },
    open: async () => world as unknown as Pipeline,
    openNextRun: () => Promise.reject(new Error('nothing is previewed')),
    forgetSync: async ({ sync }) => {
      await endDeletion(world, sync, { signal })
      return true
    },
  })
}

/** A life of the delivery of one partition, which a test ends softly or hard. */
import type { RunEvent } from '@sluice/contracts/records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { SYNC } from '@sluice/testkit/sample-records'
import { at, homePartition, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { deliverPartition } from '../deliver-partition.ts'
import type { DeliverDeps } from '../run/open-run.ts'

export interface Life {
  readonly done: Promise<void>
  /** Lets it hand over in good order. */
  drain(): Promise<void>
  /** Ends it where it stands. */
  kill(): Promise<void>
}

/** Delivers partition 0. */
export function startLife(deps: DeliverDeps, run: RunEvent): Life {
  const [drain, kill] = [new AbortController(), new AbortController()]
  const target = at(syncTopics(PREFIX, SYNC).requests, 0)
  const worker = { target, membership: steadyMembership(), drain: drain.signal, abort: kill.signal }
  const done = deliverPartition(deps, run, worker)
  const ended = done.catch(() => undefined)
  return {
    done,
    drain: async () => {
      drain.abort()
      await done
    },
    kill: async () => {
      kill.abort(new Error('killed'))
      await ended
    },
  }
}

/** Writes an event of a run, as its detector does. */
export async function tellOfRun(world: TestLog, event: RunEvent): Promise<void> {
  const value = world.io.encode('RunEvent', event)
  const place = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  await world.append(place, [{ key: runKey(SYNC, event.runId), value }])
}

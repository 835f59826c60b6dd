import type { Request, RequestRow, RunBegin } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { plainMarker, takeOver } from '@sluice/partition/take-over'
import { at, markerKey, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { INCARNATION, sampleRequest, sampleRow, sampleSlice, SYNC } from './sample-records.ts'
import type { TestLog } from './test-log.ts'

/**
 * Writes a run into a partition of `requests` (default 0), as a renderer does: its markers, and one request
 * for each key, each as an append of its own or `perAppend` of them together.
 */
export async function writeRequests(
  { log, io, prefix }: TestLog,
  run: {
    readonly begin: RunBegin
    readonly keys: readonly string[]
    readonly bodyBytes?: number
    readonly perAppend?: number
    readonly row?: Partial<RequestRow>
    readonly trigger?: Op
    /** The fields that the request for a key has besides. */
    readonly fields?: (key: string) => Partial<Request>
    readonly partition?: number
    /** Returns the number of slices that end behind this many requests; default none. */
    readonly slicesAt?: (requests: number) => number
    /** Awaited before each request is written. */
    readonly before?: () => Promise<unknown>
    /** False if the renderer stops before the end. */
    readonly ends?: boolean
  },
): Promise<void> {
  const { signal } = new AbortController()
  const { partition = 0 } = run
  const target = at(syncTopics(prefix, SYNC).requests, partition)
  const of = { log, io, prefix, sync: SYNC, incarnation: INCARNATION, partition, signal }
  await using ownership = await takeOver({ ...of, stage: 'requests', targets: [target] })
  const owned = { incarnation: INCARNATION, owner: ownership.markerOffset(target) }
  const append = async (key: Uint8Array, value: Uint8Array): Promise<number> =>
    (await ownership.append(target, [{ key, value }], { signal })).baseOffset
  const { begin, keys } = run
  const runBegin = { ...plainMarker('run-begin', INCARNATION, owned.owner), begin, position: 0 }
  const runBeginOffset = await append(markerKey('run-begin', `${partition}`), io.encode('Marker', runBegin))
  const { perAppend = 1 } = run
  let together: { readonly key: Uint8Array; readonly value: Uint8Array }[] = []
  let slices = 0
  const endSlices = (count: number): void => {
    for (let left = run.slicesAt?.(count) ?? 0; left > 0; left -= 1) {
      slices += 1
      const of = {
        ...owned,
        run: begin.run,
        slice: slices,
        begin: runBeginOffset,
        count,
        committedAt: slices,
      }
      together.push({ key: sliceKey(partition), value: io.encode('Slice', sampleSlice(of)) })
    }
  }
  endSlices(0)
  for (const [seq, key] of keys.entries()) {
    await run.before?.()
    const request = sampleRequest({
      ...owned,
      run: begin.run,
      begin: runBeginOffset,
      seq,
      trigger: run.trigger ?? 'added',
      path: `/rows/${key}`,
      body: new Uint8Array(run.bodyBytes ?? 2).fill(97),
      rows: [sampleRow({ key, seq, ...run.row })],
      changesStart: seq,
      changesEnd: seq + 1,
      ...run.fields?.(key),
    })
    together.push({ key: textKey(`${begin.run}/${partition}/${seq}`), value: io.encode('Request', request) })
    endSlices(seq + 1)
    if (together.length < perAppend && seq < keys.length - 1) continue
    await ownership.append(target, together, { signal })
    together = []
  }
  if (run.ends === false) return
  const runEnd = { ...plainMarker('run-end', INCARNATION, owned.owner), begin, count: keys.length }
  await append(
    markerKey('run-end', `${partition}`),
    io.encode('Marker', { ...runEnd, position: keys.length }),
  )
}

/**
 * Checks that the topics of a sync still have the records of its runs. Somebody may have deleted a topic, or
 * made an empty one in its place. The records are lost, and no stage may go on as if they had never been
 * there.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { MessageLog } from '@sluice/message-log/port'
import type { RunsView } from '@sluice/runs/runs-view'
import { at, syncTopics } from '@sluice/topics/topics'

interface KeptDeps {
  readonly log: MessageLog
  readonly runs: RunsView
  readonly prefix: string
}

/**
 * Rejects with `lost-topic` if `requests` or `attempts` end before the offset at which the last ended run
 * left them in this partition, as `runs` has it. A stage calls it before it writes anything to the partition.
 */
export async function assertKept(
  { log, runs, prefix }: KeptDeps,
  { sync, partition }: { readonly sync: string; readonly partition: number },
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const ends = runs.endsOf(sync, Infinity)?.find(end => end.partition === partition)
  if (ends === undefined) return
  const topics = syncTopics(prefix, sync)
  for (const name of ['requests', 'attempts'] as const) {
    const { end } = await log.offsets(at(topics[name], partition), options)
    if (end < ends[name])
      throw lost(sync, `${topics[name]}/${partition} ends at offset ${end}, and had ${ends[name]} already`)
  }
}

/**
 * Does the same for all topics of a sync that has begun a run. Each topic must exist with all its partitions.
 * The view must have caught up with `runs`.
 */
export async function assertAllKept(
  deps: KeptDeps,
  { sync, incarnation }: { readonly sync: string; readonly incarnation: string },
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const known = deps.runs.of(sync)
  const begun = [...(known?.events.values() ?? [])].filter(event => event.run !== null)
  if (known?.incarnation !== incarnation || begun.length === 0) return
  const partitions = Math.max(...begun.map(event => event.partitions))
  const topics: readonly string[] = Object.values(syncTopics(deps.prefix, sync))
  const found = await Promise.all(topics.map(topic => deps.log.partitionsOf(topic, options)))
  for (const [index, topic] of topics.entries()) {
    const count = found[index] ?? 0
    if (count === 0) throw lost(sync, `there is no topic ${topic} any more`)
    if (count < partitions) throw lost(sync, `${topic} has ${count} partitions, of ${partitions}`)
  }
  const numbers = Array.from({ length: partitions }, (_, partition) => partition)
  await Promise.all(numbers.map(partition => assertKept(deps, { sync, partition }, options)))
}

function lost(sync: string, what: string): SluiceError {
  const remedy = `only \`sluice reset ${sync}\`, which forgets what was delivered, lets the sync begin again`
  return new SluiceError('lost-topic', `${what}: ${remedy}`)
}

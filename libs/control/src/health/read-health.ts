/**
 * The health of a server, for those who run it: the services that it needs, which process owns which
 * partitions, and how many records wait.
 */
import type { HealthView } from '@sluice/contracts/api/operating'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { TopicPartition } from '@sluice/message-log/port'
import {
  detectorGroup,
  syncGroup,
  type SyncService,
  SHARED_PARTITIONS,
  at,
  sharedTopics,
  syncTopics,
} from '@sluice/topics/topics'
import { caughtUpWithRuns } from '../runs/find-run.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Check } from './check.ts'

/** The partitions of at most this many syncs are listed one by one. */
const MAX_SYNCS = 20

/** A member of a group, as the log knows it. */
export interface GroupMember {
  readonly group: string
  readonly client: string
  readonly host: string
  readonly partitions: readonly TopicPartition[]
}

/** The knowledge that a server has of itself. */
export interface HealthSource {
  readonly profile: HealthView['profile']
  /** The version of Sluice. */
  readonly version: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** The name of this machine. */
  readonly host: string
  /** Rejects only for bugs and when aborted. */
  readonly checks: (signal: AbortSignal) => Promise<readonly Check[]>
  /** The members of all groups; null where one process owns all partitions. */
  readonly members: ((signal: AbortSignal) => Promise<readonly GroupMember[]>) | null
}

type Stage = HealthView['stages'][number]
interface StageAtWork extends Pick<Stage, 'stage' | 'sync'> {
  readonly group: string
  readonly topic: string
}
type Log = Pick<Pipeline, 'log' | 'prefix' | 'runs'>

/** Throws `usage` where there is no server. */
export async function healthOf(
  source: HealthSource | undefined,
  { open, signal }: { readonly open: () => Promise<Log>; readonly signal: AbortSignal },
): Promise<HealthView> {
  if (source !== undefined) return await readHealth(await open(), source, signal)
  throw new SluiceError('usage', 'There is no server here: `sluice doctor` looks at the rest.')
}

/** The answer has all that could be found out. Its notices say what does not answer. */
export async function readHealth(
  pipeline: Log,
  source: HealthSource,
  signal: AbortSignal,
): Promise<HealthView> {
  const notices: string[] = []
  const orNotice = async <T>(what: string, ask: () => Promise<T>, instead: T): Promise<T> => {
    try {
      return await ask()
    } catch (error) {
      signal.throwIfAborted()
      if (!isSluiceError(error)) throw error
      notices.push(`${what}: ${error.message}`)
      return instead
    }
  }
  const { profile, version, startedAt, members: lookUp } = source
  const [checks, members] = await Promise.all([
    source.checks(signal),
    orNotice('who owns which partitions', async () => (await lookUp?.(signal)) ?? null, []),
  ])
  const atWork = await orNotice('the open runs', () => stagesAtWork(pipeline, signal), [])
  const stages = await Promise.all(
    atWork.map(each => orNotice(each.group, () => stageOf(pipeline, each, { members, signal }), null)),
  )
  const found = stages.filter(stage => stage !== null)
  return {
    ...{ profile, version, node: process.versions.node, startedAt: new Date(startedAt).toISOString() },
    ...{ checks: [...checks], notices, stages: found },
    processes: members === null ? [thisProcess(source, found)] : processesOf(members, pipeline.prefix),
  }
}

async function stagesAtWork(
  { runs, prefix }: Omit<Log, 'log'>,
  signal: AbortSignal,
): Promise<readonly StageAtWork[]> {
  await caughtUpWithRuns({ runs }, signal)
  const open = [...runs.all()].filter(({ events }) =>
    [...events.values()].some(({ status }) => status === 'running'),
  )
  const detector = { stage: 'change-detector', sync: null, topic: sharedTopics(prefix).commands } as const
  return [
    { ...detector, group: detectorGroup(prefix) },
    ...open.slice(0, MAX_SYNCS).flatMap(({ sync, incarnation }): StageAtWork[] => {
      const { changes, requests } = syncTopics(prefix, sync)
      const group = (stage: SyncService): string => syncGroup(prefix, stage, { sync, incarnation })
      return [
        { stage: 'renderer', sync, topic: changes, group: group('renderer') },
        { stage: 'delivery', sync, topic: requests, group: group('delivery') },
      ]
    }),
  ]
}

async function stageOf(
  { log }: Log,
  { stage, sync, group, topic }: StageAtWork,
  { members, signal }: { readonly members: readonly GroupMember[] | null; readonly signal: AbortSignal },
): Promise<Stage> {
  const count = sync === null ? SHARED_PARTITIONS : ((await log.partitionsOf(topic, { signal })) ?? 0)
  const hints = count === 0 ? [] : await log.committed(group, topic, { signal })
  const partitions = await Promise.all(
    Array.from({ length: count }, async (_, partition) => {
      const { end } = await log.offsets(at(topic, partition), { signal })
      const hint = hints[partition] ?? null
      const owner = members === null ? THIS : ownerOf(members, group, { topic, partition })
      return { partition, owner, lag: hint === null ? null : Math.max(end - hint, 0) }
    }),
  )
  return { stage, sync, partitions }
}

const THIS = 'this process'

function ownerOf(members: readonly GroupMember[], group: string, place: TopicPartition): string | null {
  const owns = ({ topic, partition }: TopicPartition): boolean =>
    topic === place.topic && partition === place.partition
  const owner = members.find(member => member.group === group && member.partitions.some(owns))
  return owner === undefined ? null : nameOf(owner)
}

function nameOf({ client, host }: Pick<GroupMember, 'client' | 'host'>): string {
  return `${client} at ${host}`
}

function thisProcess({ host }: HealthSource, stages: readonly Stage[]): HealthView['processes'][number] {
  const partitions = stages.reduce((sum, stage) => sum + stage.partitions.length, 0)
  const syncs = new Set(stages.flatMap(({ sync }) => (sync === null ? [] : [sync])))
  return { client: 'sluice up', host, partitions, syncs: [...syncs] }
}

/** Processes with one client id on one host count as one process, since Kafka does not tell them apart. */
function processesOf(members: readonly GroupMember[], prefix: string): HealthView['processes'] {
  const found = new Map<string, { client: string; host: string; partitions: number; syncs: Set<string> }>()
  for (const member of members) {
    const { client, host, group, partitions } = member
    const known = found.get(nameOf(member)) ?? { client, host, partitions: 0, syncs: new Set<string>() }
    known.partitions += partitions.length
    const sync = syncOf(group, prefix)
    if (sync !== null) known.syncs.add(sync)
    found.set(nameOf(member), known)
  }
  return [...found.values()]
    .map(({ syncs, ...process }) => ({ ...process, syncs: [...syncs].sort() }))
    .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
}

/** The sync that a group works for, by its name: prefix, stage, sync, incarnation. */
function syncOf(group: string, prefix: string): string | null {
  const [stage, sync, incarnation] = group.slice(prefix.length + 1).split('.')
  return stage === 'detector' || sync === undefined || incarnation === undefined ? null : sync
}

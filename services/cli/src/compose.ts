/** The embedded profile: all services in this process, on files in the project's `.sluice` folder. The one place of the command that names adapters. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { Definition, ResourceKind, ResourceSpec } from '@sluice/contracts/resources'
import type { DeliveredState } from '@sluice/delivered-state/port'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { lookUpDefinition } from '@sluice/domain/definition'
import { ulid } from '@sluice/domain/ulid'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { Logger } from '@sluice/runtime/logger'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { environmentSecrets } from '@sluice/secrets/environment'
import { createDuckdbSource } from '@sluice/sources/adapters/duckdb'
import { RecordIo } from '@sluice/stage/record-io'
import { RunsView } from '@sluice/stage/runs-view'
import { Definitions, parseJson, readResources } from '@sluice/stage/stored-documents'
import { sharedTopicSpecs } from '@sluice/stage/topics'
import { runChangeDetector } from '../../change-detector/src/change-detector.ts'
import { runDelivery } from '../../delivery/src/delivery.ts'
import { resolveTarget, type Target } from '../../delivery/src/target.ts'
import { runRenderer } from '../../renderer/src/renderer.ts'
import type { Pipeline } from './pipeline.ts'

const STATE_FOLDER = '.sluice'
const PREFIX = 'sluice'
/** More than any concurrency that a limit allows: the limiter, not the pool, holds requests back. */
const CONNECTIONS = 10_000

export interface EmbeddedOptions {
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** True once something ran in this folder. */
export function hasEmbeddedState(dir: string): boolean {
  return existsSync(join(dir, STATE_FOLDER, 'log.db'))
}

/** Opens the folder's log; rejects with `conflict` if another process has it open. Nothing runs until `start`. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Pipeline> {
  const { dir, env, logger, signal } = options
  const dataDir = join(dir, STATE_FOLDER)
  for (const folder of ['tmp', 'state']) mkdirSync(join(dataDir, folder), { recursive: true })
  await using opening = new AsyncDisposableStack()
  const onMaintenanceError = (err: unknown): void => logger.warn({ err }, 'the log could not be cleared up')
  const log = opening.use(createSqliteLog({ file: join(dataDir, 'log.db'), onMaintenanceError }))
  const codec = opening.use(createSqliteCodec({ file: join(dataDir, 'log.db') }))
  await log.ensureTopics(sharedTopicSpecs(PREFIX), { signal })
  const io = await RecordIo.open(codec, PREFIX, { signal })
  const shared = { log, io, prefix: PREFIX }
  const runs = opening.use(await RunsView.open(shared, { signal }))
  const definitions = new Definitions(shared)
  const deps = { ...shared, runs, definitions, logger }
  const newRunId = (): string => ulid(Date.now(), randomBytes(10))
  const resources = opening.move()

  async function start(
    only: ReadonlySet<string>,
    ends: { drain: AbortSignal; signal: AbortSignal },
  ): Promise<void> {
    await using running = new AsyncDisposableStack()
    const rateLimit = running.use(createLocalRateLimit({ file: join(dataDir, 'limits.db') }))
    const leases = running.use(createLeaseQueue(rateLimit, bottleneckAdmission))
    const sender = running.use(createUndiciSender({ connections: CONNECTIONS }))
    const onError = (err: unknown): void => logger.error({ err }, 'the limits could not be kept')
    const stopping = new AbortController()
    const drain = AbortSignal.any([ends.drain, stopping.signal])
    const both = { drain, signal: ends.signal }
    const services = [
      runChangeDetector(
        {
          ...deps,
          only,
          dataDir,
          newRunId,
          now: Date.now,
          adoptedAreInterrupted: true,
          resolveDefinition: sync => definitionFromLog(shared, sync, ends.signal),
          openSource: definition => Promise.resolve(createDuckdbSource({ spec: definition.source })),
          openState: of => openState(dataDir, of, logger),
        },
        both,
      ),
      runRenderer(deps, both),
      runDelivery(
        {
          ...deps,
          sender,
          leases,
          onError,
          resolveTarget: targets(definitions, env),
          lateSendsMs: () => 0,
        },
        both,
      ),
    ]
    // One that fails takes the others down in good order.
    await Promise.all(
      services.map(service =>
        service.catch((error: unknown) => {
          stopping.abort(error)
          throw error
        }),
      ),
    ).finally(() => Promise.allSettled(services))
  }

  return { ...deps, newRunId, start, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

function openState(
  dataDir: string,
  of: { readonly sync: string; readonly incarnation: string; readonly partitions: number },
  logger: Logger,
): Promise<DeliveredState> {
  const file = join(dataDir, 'state', `${of.sync}.${of.incarnation}.duckdb`)
  const onDiscard = (why: string): void =>
    logger.warn({ sync: of.sync, why }, 'the cache of the delivered state is not used')
  return openDeliveredState({ ...of, file, onDiscard })
}

async function definitionFromLog(
  deps: Parameters<typeof readResources>[0],
  sync: string,
  signal: AbortSignal,
): Promise<Definition> {
  const stored = await readResources(deps, { signal })
  const find = (kind: ResourceKind, name: string): ResourceSpec | undefined => {
    const record = stored.get(`${kind}/${name}`)
    return record === undefined ? undefined : parseJson<ResourceSpec>(record.spec)
  }
  const found = lookUpDefinition(find, sync)
  if (found.kind === 'found') return found.definition
  throw new SluiceError('not-found', `sync ${sync}: there is no ${found.resource} ${found.name}`)
}

/** Destinations with their secrets, kept by definition. */
function targets(
  definitions: Definitions,
  env: { readonly [name: string]: string | undefined },
): (hash: string, signal: AbortSignal) => Promise<Target> {
  const known = new Map<string, Target>()
  return async (hash, signal) => {
    const kept = known.get(hash)
    if (kept !== undefined) return kept
    const target = await resolveTarget(await definitions.get(hash, { signal }), environmentSecrets(env))
    known.set(hash, target)
    return target
  }
}

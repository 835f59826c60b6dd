/** Runs delivery on Kafka, the schema registry and Redis. No other file of this service names adapters. */
import { isSluiceError } from '@sluice/contracts/errors'
import { memoryBudget } from '@sluice/domain/memory-budget'
import { createRedisLocks } from '@sluice/partition/adapters/redis'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createRedisTokenStore } from '@sluice/oauth/adapters/redis'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createRedisRateLimit } from '@sluice/rate-limit/adapters/redis'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { proxySettings } from '@sluice/runtime/settings/proxies'
import { destinationPrivateNetworks } from '@sluice/runtime/settings/reach'
import type { StartContext, StartedService } from '@sluice/runtime/run-service'
import { openTraces } from '@sluice/runtime/traces/open-traces'
import { growHeapByRoom } from '@sluice/runtime/machine/heap-growth'
import { SlowRenders } from '@sluice/templates/adapters/thread'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { boundSecrets, watchedSecrets } from '@sluice/secrets/bound-secrets'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { createStageMetrics } from '@sluice/partition/stage-metrics'
import { GroupReadiness } from '@sluice/partition/process/group-readiness'
import { forgottenLogger, logTrouble, openLocks, locksReadiness } from '@sluice/partition/process/open-locks'
import { newSuspects } from '@sluice/partition/deaths/entry'
import { openStage } from '@sluice/partition/process/open-stage'
import { openVault } from '@sluice/partition/process/open-vault'
import type { DeliveryConfig } from './config.ts'
import { DeliveryMemory } from './delivery-memory.ts'
import { runDelivery } from './delivery.ts'
import { DestinationTokens } from './destination/destination-tokens.ts'
import { patientTargets } from './destination/patient-targets.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'
import { UnrecordedRequests } from './send/unrecorded-requests.ts'
import { reportBreakers } from './send/destination-gate.ts'
import { Throttles } from './send/throttles.ts'

/**
 * The pool has more connections than any limit allows requests at once. So the limiter holds requests back,
 * and not the pool.
 */
const CONNECTIONS = 10_000

/** Opens what delivery needs. Rejects as `openStage` does. */
export async function start(config: DeliveryConfig, context: StartContext): Promise<StartedService> {
  const { logger, metrics, mask, signal } = context
  const { prefix, redis, env } = config
  await using opening = new AsyncDisposableStack()
  const traces = opening.use(await openTraces(env, { service: 'sluice-delivery', logger }))
  const adapters = { createLog: createKafkaLog, createCodec: createRegistryCodec }
  opening.use(growHeapByRoom(config))
  const stage = opening.use(
    await openStage(config, adapters, {
      clientId: `${prefix}-delivery`,
      outlasts: true,
      logger,
      metrics,
      signal,
    }),
  )
  const locks = opening.use(await openLocks(config, createRedisLocks, context))
  const telling = { onTrouble: logTrouble(logger, 'requests'), onForgotten: forgottenLogger(logger) }
  const rateLimit = opening.use(createRedisRateLimit({ ...redis, prefix, ...telling }))
  const stageMetrics = createStageMetrics(metrics)
  const onBreaker = reportBreakers({ logger, stageMetrics })
  const leases = opening.use(createLeaseQueue(rateLimit, bottleneckAdmission, onBreaker))
  const memory = new DeliveryMemory(memoryBudget(config.memoryBytes).buffersBytes)
  const networks = destinationPrivateNetworks(env)
  const profile = { allowPrivateNetwork: networks === 'allowed' }
  const sender = opening.use(
    createUndiciSender({
      connections: CONNECTIONS,
      answers: memory.answers,
      proxy: proxySettings(env),
      neverPrivate: networks === 'never',
    }),
  )
  // `onTrouble` logs an outage of Redis once. Here each partition would log it.
  const onError = (err: unknown): void => {
    if (!isSluiceError(err) || !err.retryable) logger.error({ err }, 'the limits could not be kept')
  }
  const readiness = new GroupReadiness()
  const vault = opening.use(await openVault(stage, env, { logger, onOpened: mask, signal }))
  const secrets = watchedSecrets(boundSecrets(env, 'refused', vault), mask)
  const store = opening.use(createRedisTokenStore({ ...redis, prefix }))
  const tokens = opening.use(
    new DestinationTokens({
      ...{ store, keys: environmentKeys(env), vault, sender, secretFor: secrets, profile },
      waitsForPeople: true,
      stageMetrics,
      onSecret: mask,
    }),
  )
  const resolveTarget = patientTargets(stage.definitions, {
    ...{ secrets, tokens, profile },
    caughtUp: options => vault.caughtUp(options),
    logger,
    stageMetrics,
  })
  // A frozen predecessor may send as long as its slots live.
  const lateSends = lateAfterTakeover(target => target.slotLifeMs)
  const { render: renderElsewhere } = opening.use(new SlowRenders())
  const shared = { throttles: new Throttles(), unrecorded: new UnrecordedRequests(), memory }
  const sending = { ...shared, onError, renderElsewhere, sender, leases, resolveTarget, lateSends }
  const opened = opening.move()
  return {
    ready: { groups: () => readiness.check(), redis: () => locksReadiness(locks) },
    run: ends =>
      runDelivery(
        { ...stage, ...sending, locks, readiness, stageMetrics, traces, logger, suspects: newSuspects() },
        ends,
      ),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

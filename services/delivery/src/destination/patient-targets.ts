/**
 * Resolves targets in the distributed profile. An operator may set the secrets of a destination after a sync
 * that needs them is applied. A run whose secret is missing waits for it for some minutes, and no other sync
 * waits with it (R12, R14).
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { Definitions } from '@sluice/resources/stored-documents'
import type { ResolveTarget } from '../run/open-run.ts'
import { PATIENCE_MS } from './attempt-credentials.ts'
import type { DestinationTokens } from './destination-tokens.ts'
import { resolveTarget, type Profile } from './target.ts'

const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 30_000

/**
 * Returns a function that resolves the target of a definition with the present secrets. So a rotated secret
 * counts from the next run on. While a secret is missing, it logs that and looks again. It rejects with
 * `config`, which names the secret, if that takes too long, and with the signal's reason when aborted.
 */
export function patientTargets(
  definitions: Definitions,
  deps: {
    readonly secrets: SecretFor
    readonly profile: Profile
    /** Resolves once this process has all secrets that were set before the call. Default: at once. */
    readonly caughtUp?: (options: { signal: AbortSignal }) => Promise<void>
    /** For destinations with OAuth 2. */
    readonly tokens?: DestinationTokens
    readonly logger: Logger
    readonly stageMetrics?: StageMetrics
    /** The time that a run waits, in ms; default five minutes. */
    readonly patienceMs?: number
  },
): ResolveTarget {
  const { secrets, profile, caughtUp, logger, stageMetrics, patienceMs = PATIENCE_MS } = deps
  /** The number of waiting partitions of each sync. */
  const waiting = new Map<string, number>()
  const note = (sync: string, change: 1 | -1): void => {
    const count = (waiting.get(sync) ?? 0) + change
    if (count === 0) waiting.delete(sync)
    else waiting.set(sync, count)
    stageMetrics?.suspended('attempts', sync, count)
  }
  return async (hash, { signal, waitsFor }) => {
    const definition = await definitions.get(hash, { signal })
    const { sync, destination } = definition
    const sinceMs = performance.now()
    let waits = false
    try {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
        try {
          await caughtUp?.({ signal })
          const target = resolveTarget(definition, secrets, profile)
          return { ...target, credentials: deps.tokens?.of(destination) ?? null }
        } catch (error) {
          if (!isSluiceError(error, 'config') || performance.now() - sinceMs >= patienceMs) throw error
          const until = Date.now() + sinceMs + patienceMs - performance.now()
          waitsFor({ kind: 'secret', until, detail: error.message })
          if (!waits) note(sync.name, 1)
          waits = true
          const context = { sync: sync.name, destination: destination.name, nextTryMs: pauseMs }
          logger.error(context, `the sync cannot be delivered: ${error.message}`)
        }
        await sleep(Math.min(pauseMs, Math.max(0, sinceMs + patienceMs - performance.now())), { signal })
      }
    } finally {
      waitsFor(null)
      if (waits) note(sync.name, -1)
    }
  }
}

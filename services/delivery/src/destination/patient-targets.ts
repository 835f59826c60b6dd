/**
 * Targets where the secrets of a destination are kept by whoever runs delivery, and may come later than the
 * sync that wants them: a sync whose secret is missing waits for it, and no other sync with it (R12).
 */
import { isSluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { SecretLookup } from '@sluice/secrets/environment'
import type { Figures } from '@sluice/stage/figures'
import type { Definitions } from '@sluice/stage/stored-documents'
import { resolveTarget, type Target } from './target.ts'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/**
 * Gives the target of a definition, with its secrets as they are now, so that a rotated one counts from the
 * next run on. While one is missing it logs that, and looks again until aborted.
 */
export function patientTargets(
  definitions: Definitions,
  deps: { readonly secrets: SecretLookup; readonly logger: Logger; readonly figures?: Figures },
): (hash: string, signal: AbortSignal) => Promise<Target> {
  const { secrets, logger, figures } = deps
  /** Partitions of each sync that wait. */
  const waiting = new Map<string, number>()
  const count = (sync: string, change: 1 | -1): void => {
    const places = (waiting.get(sync) ?? 0) + change
    if (places === 0) waiting.delete(sync)
    else waiting.set(sync, places)
    figures?.setAside('attempts', sync, places)
  }
  return async (hash, signal) => {
    const definition = await definitions.get(hash, { signal })
    const { sync, destination } = definition
    let waits = false
    try {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        try {
          return resolveTarget(definition, secrets)
        } catch (error) {
          if (!isSluiceError(error, 'config')) throw error
          if (!waits) count(sync.name, 1)
          waits = true
          const what = { sync: sync.name, destination: destination.name, nextTryMs: pauseMs }
          logger.error(what, `the sync cannot be delivered: ${error.message}`)
        }
        await sleep(pauseMs, { signal })
      }
    } finally {
      if (waits) count(sync.name, -1)
    }
  }
}

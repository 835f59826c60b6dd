import { SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'

/**
 * A `disk` error where the state's file could not be written; null for anything else. A database that has
 * failed so calls itself invalid afterwards, though nothing in its file is.
 */
export function diskErrorOf(error: unknown, file: string): SluiceError | null {
  const text = error instanceof Error ? error.message : String(error)
  if (!saysDiskFailed(text)) return null
  const message =
    `The delivered state ${file} cannot be written: ${text.split('\n')[0] ?? text}. ` +
    'Make room on that disk; it is a cache, and nothing was lost.'
  return new SluiceError('disk', message, { cause: error })
}

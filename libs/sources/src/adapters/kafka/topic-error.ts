/** The error of a topic that cannot be read as a table. */
import { SluiceError } from '@sluice/contracts/errors'

/** Returns a `query` error at the field `topic` of the model. */
export function topicError(
  message: string,
  options: { readonly cause?: unknown; readonly retryable?: boolean } = {},
): SluiceError {
  return new SluiceError('query', message, { ...options, details: [{ field: 'topic', message }] })
}

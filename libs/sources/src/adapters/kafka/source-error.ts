/** What becomes of an error while a topic is read: it names the source, and masks its secrets. */
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { isPrivateAddressError } from '@sluice/http-sender/egress-guard'
import { diskErrorOf, duckdbMessage, saysOutOfMemory } from '../duckdb/errors.ts'
import { modelCalled } from '../query/model-columns.ts'
import { masked } from '../server/errors.ts'
import { topicError } from './topic-error.ts'

export interface SourceErrorContext {
  /** The name of the source. */
  readonly name: string
  readonly secrets: readonly string[]
  /** Set while rows are written to a file. */
  readonly extract?: { readonly model: ModelSpec; readonly file: string }
}

export function sourceError(error: unknown, { name, secrets, extract }: SourceErrorContext): unknown {
  const guarded = privateAddress(error)
  if (guarded !== null)
    return new SluiceError('config', `Source ${name}: ${guarded.message}`, { cause: error })
  if (isSluiceError(error)) {
    if (error.code !== 'unreachable' && error.code !== 'config' && error.code !== 'offset-out-of-range')
      return error
    if (error.message.startsWith('Source ')) return error
    const code = error.code === 'offset-out-of-range' ? 'unreachable' : error.code
    const { retryable, details } = error
    const message = masked(`Source ${name}: ${error.message}`, secrets)
    return new SluiceError(code, message, { cause: error, retryable, details })
  }
  if (extract === undefined) return error
  const { model, file } = extract
  const disk = diskErrorOf(error, { model: model.name, file })
  if (disk !== null) return disk
  const reason = duckdbMessage(error)
  const message = saysOutOfMemory(error)
    ? `The rows of ${modelCalled(model.name)} need more memory than reading them may take: set SLUICE_MEMORY higher. ${reason}`
    : `The rows of ${modelCalled(model.name)} cannot be read from source ${name}: ${messageOf(error)}`
  return topicError(message, { cause: error })
}

/** Finds the error of a connection that was not opened, since it leads into a private network. */
function privateAddress(error: unknown): Error | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isPrivateAddressError(cause)) return cause
  return null
}

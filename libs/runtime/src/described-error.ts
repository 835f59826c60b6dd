/**
 * What a log line says of an error: a list of what may be shown, and nothing else. Clients hang all kinds of
 * things on their errors: the command with its arguments (Redis' AUTH), the configuration of a request, the
 * parameters of a query.
 */
const MAX_CAUSES = 5
const MAX_TEXT = 10_000
/** So much of a text is looked at. What is masked may be longer than what is shown. */
const LOOKED_AT = 100_000

/**
 * Gives a text without secrets. `cut`: it is the beginning of a longer one, whose end may cut a secret off.
 */
export type MaskText = (text: string, of: { readonly cut: boolean }) => string

export interface DescribedError {
  readonly type: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  readonly retryable?: boolean
  readonly cause?: DescribedError
}

/** An error as a log line shows it. Anything else as its kind alone, since nobody knows what it holds. */
export function describedError(error: unknown, mask: MaskText, causes = MAX_CAUSES): DescribedError {
  const cut = (text: string): string => shortened(text, mask)
  if (!(error instanceof Error)) {
    return { type: typeof error, message: typeof error === 'string' ? cut(error) : 'no error object' }
  }
  const code: unknown = 'code' in error ? error.code : undefined
  const retryable: unknown = 'retryable' in error ? error.retryable : undefined
  const { cause } = error
  return {
    type: error.name,
    message: cut(error.message),
    ...(error.stack === undefined ? {} : { stack: cut(error.stack) }),
    ...(isCode(code) ? { code } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(cause instanceof Error && causes > 0 ? { cause: describedError(cause, mask, causes - 1) } : {}),
  }
}

function isCode(code: unknown): code is string | number {
  return typeof code === 'number' || (typeof code === 'string' && /^[\w.-]{1,100}$/.test(code))
}

/** The rest of a secret that was cut in two could not be found, so it is masked before. */
function shortened(text: string, mask: MaskText): string {
  if (text.length <= MAX_TEXT) return text
  const masked = mask(text.slice(0, LOOKED_AT), { cut: text.length > LOOKED_AT })
  return `${masked.slice(0, MAX_TEXT)}…`
}

/** What an error of the network says to a person. */
export function describeError(error: Error): string {
  // Connecting to a name with several addresses fails with all their errors and no message of its own.
  if (error instanceof AggregateError && error.message === '') {
    const messages = error.errors.map(each => (each instanceof Error ? each.message : String(each)))
    return [...new Set(messages)].join('; ')
  }
  const text = error.message === '' ? error.name : error.message
  return 'code' in error && error.code === 'UND_ERR_SOCKET' ? `the connection broke: ${text}` : text
}

/**
 * `sluice/api`: a client of a server's API for scripts. It has a method for each operation of the table, and
 * `api-types.ts` writes their types from the same table.
 */
import { OPERATION_NAMES, OPERATIONS, requestOf, type Operation } from '@sluice/contracts/api/operations'

export interface Connection {
  /** The address of `sluice up` or of a console, such as `http://127.0.0.1:4747`. */
  readonly url: string
  readonly token?: string
}

interface CallOptions {
  readonly signal?: AbortSignal
}

/** The server refused the call, or does not speak this API. */
export class SluiceApiError extends Error {
  /** The status of the HTTP answer. */
  readonly status: number
  /** For example `not-found`. It is `unreachable` if the answer does not come from Sluice. */
  readonly code: string
  /** True if the same call may succeed later though nobody changes anything. */
  readonly retryable: boolean
  /** The places in documents that are wrong, each with its message. */
  readonly errors: readonly object[]

  constructor(status: number, answer: unknown) {
    const { detail, code, retryable, errors } = fieldsOf(answer)
    super(typeof detail === 'string' ? detail : `the server answered with status ${status}`)
    this.name = 'SluiceApiError'
    this.status = status
    this.code = typeof code === 'string' ? code : 'unreachable'
    this.retryable = retryable === true
    this.errors = Array.isArray(errors) ? errors : []
  }
}

/** Returns a client. It connects to nothing before a method is called. */
export function connect(connection: Connection): { readonly [operation: string]: unknown } {
  const client: { [operation: string]: unknown } = {}
  for (const name of OPERATION_NAMES.filter(known => isOfClients(OPERATIONS[known]))) {
    const ask = (input: object = {}, { signal }: CallOptions = {}): Promise<Response> =>
      send(connection, requestOf(name, input), signal)
    const operation: Operation = OPERATIONS[name]
    client[name] =
      operation.does === 'follow'
        ? async function* (input?: object, options?: CallOptions): AsyncGenerator<unknown> {
            yield* eventsIn(await ask(input, options))
          }
        : async (input?: object, options?: CallOptions): Promise<unknown> => {
            const response = await ask(input, options)
            return operation.isFile === true ? await response.text() : await response.json()
          }
  }
  return client
}

/**
 * Clients have no open operations: sessions are for browsers, and the sample project has a receiver of its
 * own.
 */
export function isOfClients(operation: Operation): boolean {
  return operation.isOpen !== true
}

async function send(
  { url, token }: Connection,
  asked: ReturnType<typeof requestOf>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { method, body } = asked
  const headers = new Headers()
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  // The text of a document is YAML.
  const isText = typeof body === 'string'
  if (body !== undefined) headers.set('content-type', isText ? 'application/yaml' : 'application/json')
  const response = await fetch(new URL(asked.url, url), {
    ...{ method, headers, redirect: 'error' },
    body: body === undefined ? null : isText ? body : JSON.stringify(body),
    signal: signal ?? null,
  })
  if (response.ok) return response
  throw new SluiceApiError(response.status, await response.json().catch(() => null))
}

/** The data of each event, until the server ends the stream. */
async function* eventsIn(response: Response): AsyncGenerator<unknown> {
  let rest = ''
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const events = (rest + text).split('\n\n')
    rest = events.pop() ?? ''
    for (const line of events.flatMap(event => event.split('\n')))
      if (line.startsWith('data: ')) yield JSON.parse(line.slice('data: '.length))
  }
}

function fieldsOf(answer: unknown): { readonly [field: string]: unknown } {
  return typeof answer === 'object' && answer !== null ? { ...answer } : {}
}

/** Asks a server: HTTP on a host or on a Unix socket, JSON both ways, and problem details as errors. */
import {
  request as requestHttp,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http'
import { request as requestHttps } from 'node:https'
import { problem } from '@sluice/contracts/api'
import { ANSWERS, type AnswerOf } from '@sluice/contracts/api/operation-shapes'
import { requestOf, type OperationName } from '@sluice/contracts/api/operations'
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import { SluiceError, WrongState } from '@sluice/contracts/errors'
import { jsonOf } from '@sluice/contracts/safe-json'
import type { z } from 'zod'
import type { ServerAddress } from '../../server-address.ts'

const CONFLICT = 409
/** The longest answer that a server of Sluice sends. */
const MAX_CHARACTERS = 128 * 1024 * 1024
/** A preview may take minutes. A stream sends something every 15 s. */
const SILENCE_MS = 11 * 60_000
const STREAM_SILENCE_MS = 60_000
const SECOND_MS = 1_000
const OK = 200
const NOT_OK = 300

export class ServerClient {
  readonly #address: ServerAddress

  constructor(address: ServerAddress) {
    this.#address = address
  }

  async call<Name extends OperationName>(
    name: Name,
    input: object,
    signal: AbortSignal,
  ): Promise<AnswerOf<Name>> {
    return await this.callFor(name, input, ANSWERS[name].answer, signal)
  }

  /** Calls an operation that has several kinds of answers. `answer` is the schema of the expected kind. */
  async callFor<T>(
    name: OperationName,
    input: object,
    answer: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const response = await this.#request(name, input, { signal, silenceMs: SILENCE_MS })
    return this.parsed(answer, await this.#text(response))
  }

  /** The text of a stream. It throws `unreachable` if the connection breaks. */
  async stream(name: OperationName, input: object, signal: AbortSignal): Promise<AsyncIterable<string>> {
    return this.#texts(await this.#request(name, input, { signal, silenceMs: STREAM_SILENCE_MS }))
  }

  /** The error for a server that has gone away before its answer was complete. */
  gone(cause?: unknown): SluiceError {
    const place = this.#address.kind === 'socket' ? 'stays in the folder' : 'may go on there'
    const message = `${this.#where()} has stopped. The work that it was asked for ${place}: \`sluice runs\` shows how far it came.`
    return new SluiceError('unreachable', message, { cause })
  }

  parsed<T>(schema: z.ZodType<T>, text: string): T {
    const read = schema.safeParse(jsonOf(text))
    if (read.success) return read.data
    const message = `${this.#where()} is no Sluice of this version: it answered ${this.#shown(text)}`
    throw new SluiceError('unreachable', message)
  }

  async #request(
    name: OperationName,
    input: object,
    { signal, silenceMs }: { readonly signal: AbortSignal; readonly silenceMs: number },
  ): Promise<IncomingMessage> {
    const { method, url, body } = requestOf(name, input)
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await this.#sent(url, { method, headers, signal }, { body: text, silenceMs })
    const { statusCode: status = 0 } = response
    if (status >= OK && status < NOT_OK) return response
    throw this.#refusal(status, await this.#text(response))
  }

  #sent(
    target: string,
    options: RequestOptions & { readonly headers: OutgoingHttpHeaders },
    { body, silenceMs }: { readonly body: string | undefined; readonly silenceMs: number },
  ): Promise<IncomingMessage> {
    const address = this.#address
    const { headers, ...own } = optionsFor(address, target)
    const all = { ...options, ...own, headers: { ...options.headers, ...headers }, agent: false }
    return new Promise((resolve, reject) => {
      const send = address.kind === 'url' && address.url.startsWith('https:') ? requestHttps : requestHttp
      const request = send(all, resolve)
      let isConnected = false
      request.on('socket', socket => socket.once('connect', () => (isConnected = true)))
      request.on('error', cause => {
        if (options.signal?.aborted === true) reject(options.signal.reason)
        else reject(isConnected ? this.gone(cause) : this.#unreached(cause))
      })
      const silent = new Error(`it said nothing for ${silenceMs / SECOND_MS} s`)
      request.setTimeout(silenceMs, () => request.destroy(silent))
      request.end(body)
    })
  }

  async #text(response: IncomingMessage): Promise<string> {
    let text = ''
    for await (const part of this.#texts(response)) {
      text += part
      if (text.length > MAX_CHARACTERS)
        throw new SluiceError(
          'unreachable',
          `${this.#where()} answered with more than ${MAX_CHARACTERS} characters`,
        )
    }
    return text
  }

  async *#texts(response: IncomingMessage): AsyncGenerator<string> {
    response.setEncoding('utf8')
    const parts: AsyncIterable<string> = response
    try {
      for await (const part of parts) yield part
    } catch (error) {
      throw this.gone(error)
    }
  }

  /** The error that the server answered with, as if it had happened here. */
  #refusal(status: number, text: string): SluiceError {
    const read = problem.safeParse(jsonOf(text))
    if (!read.success) {
      const message = `${this.#where()} is no Sluice: it answered ${status} ${this.#shown(text)}`
      return new SluiceError('unreachable', message)
    }
    const { code, detail, errors, retryable } = read.data
    const details = errors.map(({ message, file, line, column, field }) => ({
      message,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
      ...(field === undefined ? {} : { field }),
    }))
    if (code === 'usage' && status === CONFLICT) return new WrongState(detail)
    return new SluiceError(code, detail, { details, retryable })
  }

  /** The error for a server that was not reached. The same call may be made again. */
  #unreached(cause: Error): SluiceError {
    const message = `${this.#where()} does not answer: ${cause.message}`
    return new SluiceError('unreachable', message, { cause, retryable: true })
  }

  /** An answer may repeat the token of the request. The token is masked before the text is cut. */
  #shown(text: string): string {
    const token = this.#address.kind === 'socket' ? null : this.#address.token
    const masked = token === null ? text : text.replaceAll(token, '***')
    return JSON.stringify(masked.length > SHOWN ? `${masked.slice(0, SHOWN)}…` : masked)
  }

  #where(): string {
    const address = this.#address
    return address.kind === 'socket' ? 'The process that has the folder open' : `The server ${address.url}`
  }
}

function optionsFor(
  address: ServerAddress,
  target: string,
): RequestOptions & { readonly headers: OutgoingHttpHeaders } {
  if (address.kind === 'socket') return { socketPath: address.path, path: target, headers: {} }
  const { protocol, hostname, port, pathname } = new URL(address.url)
  const base = pathname.replace(/\/+$/, '')
  const { token } = address
  return {
    ...{ protocol, path: `${base}${target}`, port: port === '' ? null : port },
    hostname: withoutBrackets(hostname),
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  }
}

const SHOWN = 200

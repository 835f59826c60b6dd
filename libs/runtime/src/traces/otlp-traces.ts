/**
 * Sends spans as OTLP over HTTP, in JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). Spans gather
 * for a second. While the endpoint does not answer, up to `MAX_SPANS` of them wait, and work goes on.
 */
import { readFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { hostname } from 'node:os'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { doublingPause } from '@sluice/flow/retry'
import { valueOf, type Environment } from '../environment.ts'
import { spanId, traceId, type Attribute, type Span, type TracedProcess, type Traces } from './span.ts'

/**
 * Spans gather for `gatherMs`. After a failure the sender pauses, twice as long with each further failure.
 */
const PACE = { gatherMs: 1_000, pauseFirstMs: 5_000, pauseLastMs: 60_000 }
const MAX_SPANS = 2_048
const SPANS_AT_ONCE = 512
const DEFAULT_TIMEOUT_MS = 10_000
/** The longest attribute or error. A URL may have a megabyte, and many spans may wait. */
const MAX_CHARACTERS = 4_096
/** A process that ends waits this long for its last spans. */
const LAST_SENDS_MS = 2_000
const MAX_ANSWER_BYTES = 64 * 1024
/** Answers after which OTLP asks a client to try again. */
const TRY_AGAIN = [429, 502, 503, 504]

export interface OtlpSettings {
  readonly url: URL
  readonly headers: { readonly [name: string]: string }
  readonly timeoutMs: number
  /** PEM. */
  readonly ca: string | undefined
  readonly resource: { readonly [name: string]: Attribute }
}

/** Reads the settings from the variables of OpenTelemetry. Throws `config`. */
export function otlpSettings(env: Environment, { service, logger }: TracedProcess): OtlpSettings {
  const variable = (name: string): string | undefined =>
    valueOf(env, `OTEL_EXPORTER_OTLP_TRACES_${name}`) ?? valueOf(env, `OTEL_EXPORTER_OTLP_${name}`)
  const protocol = variable('PROTOCOL') ?? 'http/json'
  if (protocol !== 'http/json')
    logger.warn(
      { protocol },
      'OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as http/json, and as nothing else',
    )
  const name = valueOf(env, 'OTEL_SERVICE_NAME')
  const timeoutMs = Number(variable('TIMEOUT') ?? DEFAULT_TIMEOUT_MS)
  const certificate = variable('CERTIFICATE')
  return {
    url: urlOf(env),
    headers: {
      ...listed(env['OTEL_EXPORTER_OTLP_HEADERS']),
      ...listed(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS']),
    },
    timeoutMs: timeoutMs > 0 ? timeoutMs : DEFAULT_TIMEOUT_MS,
    ca: certificate === undefined ? undefined : readFileSync(certificate, 'utf8'),
    resource: {
      'service.name': service,
      'service.instance.id': `${hostname()}/${process.pid}`,
      ...listed(env['OTEL_RESOURCE_ATTRIBUTES']),
      ...(name === undefined ? {} : { 'service.name': name }),
    },
  }
}

/**
 * Returns the endpoint of traces. The variable for traces has the whole endpoint. The variable for all
 * signals has only its beginning.
 */
function urlOf(env: Environment): URL {
  const whole = valueOf(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const common = valueOf(env, 'OTEL_EXPORTER_OTLP_ENDPOINT') ?? ''
  const text = whole ?? `${common.replace(/\/$/, '')}/v1/traces`
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  const name = whole === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  throw new SluiceError('config', `${name} is no URL such as http://collector:4318`)
}

/** Reads pairs `name=value` between commas, with percent-encoded values. */
function listed(text = ''): { readonly [name: string]: string } {
  const pairs = text.split(',').flatMap((pair): (readonly [string, string])[] => {
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]]
  })
  return Object.fromEntries(pairs)
}

interface Failure {
  readonly why: string
  /** True if the endpoint may take the same spans later. */
  readonly isTransient: boolean
}

/** Opens the sender of spans, which may be called concurrently. */
export function createOtlpTraces(
  settings: OtlpSettings,
  logger: TracedProcess['logger'],
  pace = PACE,
): Traces & AsyncDisposable {
  return new OtlpTraces(settings, logger, pace)
}

/** States: idle → gathering → sending → idle or, after a failure, pausing → sending. */
class OtlpTraces implements Traces, AsyncDisposable {
  readonly #settings: OtlpSettings
  readonly #logger: TracedProcess['logger']
  readonly #pace: typeof PACE
  readonly #ending = new AbortController()
  #queue: Span[] = []
  #dropped = 0
  #failures = 0
  #isClosed = false
  #timer: NodeJS.Timeout | null = null
  #sending: Promise<void> | null = null

  constructor(settings: OtlpSettings, logger: TracedProcess['logger'], pace: typeof PACE) {
    this.#settings = settings
    this.#logger = logger
    this.#pace = pace
  }

  take(span: Span): void {
    this.#queue.push(withShortTexts(span))
    this.#dropOldest()
    this.#plan(this.#pace.gatherMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const late = setTimeout(() => this.#ending.abort(new Error('the process ends')), LAST_SENDS_MS)
    try {
      await this.#sending
      // After a failure, the remaining batches are given up.
      while (this.#queue.length > 0 && this.#failures === 0) await this.#send()
    } finally {
      clearTimeout(late)
    }
  }

  #dropOldest(): void {
    const over = this.#queue.length - MAX_SPANS
    if (over <= 0) return
    this.#queue.splice(0, over)
    this.#dropped += over
  }

  #plan(afterMs: number): void {
    if (this.#timer !== null || this.#sending !== null || this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#sending = this.#send().finally(() => {
        this.#sending = null
        if (this.#queue.length > 0) this.#plan(this.#pauseMs())
      })
    }, afterMs)
    this.#timer.unref()
  }

  #pauseMs(): number {
    const { pauseFirstMs, pauseLastMs } = this.#pace
    return this.#failures === 0
      ? 0
      : doublingPause(this.#failures, { firstMs: pauseFirstMs, maxMs: pauseLastMs })
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    const batch = this.#queue.splice(0, SPANS_AT_ONCE)
    const failure = await this.#postSpans(batch)
    if (failure === null) {
      if (this.#failures > 0) this.#logger.info({ dropped: this.#dropped }, 'traces are sent again')
      this.#failures = 0
      this.#dropped = 0
      return
    }
    this.#failures += 1
    if (failure.isTransient) this.#queue.unshift(...batch)
    else this.#dropped += batch.length
    this.#dropOldest()
    const { origin, pathname } = this.#settings.url
    if (this.#failures === 1)
      this.#logger.warn(
        { endpoint: origin + pathname, why: failure.why },
        'traces cannot be sent; runs go on, and this is not logged again until it works',
      )
  }

  async #postSpans(batch: readonly Span[]): Promise<Failure | null> {
    try {
      return await this.#post(bodyOf(batch, this.#settings.resource))
    } catch (error) {
      return { why: messageOf(error), isTransient: false }
    }
  }

  /** Resolves null once the endpoint has taken the spans. */
  #post(body: string): Promise<Failure | null> {
    const { url, headers, timeoutMs, ca } = this.#settings
    const { promise, resolve } = Promise.withResolvers<Failure | null>()
    const failed = (error: Error): void => resolve({ why: error.message, isTransient: true })
    try {
      const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
        method: 'POST',
        // Each request has a connection of its own, so that none is left open in a process that ends.
        agent: false,
        ca,
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#ending.signal]),
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      })
      request.on('error', failed)
      request.on('response', answer => {
        const { statusCode: status = 0 } = answer
        let bytes = 0
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > MAX_ANSWER_BYTES) answer.destroy()
        })
        answer.on('error', failed)
        answer.on('close', () =>
          resolve(
            status >= 200 && status < 300
              ? null
              : { why: `it answers ${status}`, isTransient: TRY_AGAIN.includes(status) },
          ),
        )
      })
      request.end(body)
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)))
    }
    return promise
  }
}

function withShortTexts(span: Span): Span {
  const { error, attributes } = span
  const short = (text: string): string => text.slice(0, MAX_CHARACTERS)
  const cut: { [name: string]: Attribute | null } = {}
  for (const [name, value] of Object.entries(attributes))
    cut[name] = typeof value === 'string' ? short(value) : value
  return { ...span, error: error === null ? null : short(error), attributes: cut }
}

function bodyOf(spans: readonly Span[], resource: OtlpSettings['resource']): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'sluice' }, spans: spans.map(spanOf) }],
      },
    ],
  })
}

const KINDS = { internal: 1, client: 3 }
const FAILED = 2

function spanOf(span: Span): object {
  const { runId, place, parent, name, isRequest = false, from, to, error, attributes } = span
  return {
    traceId: traceId(runId),
    spanId: spanId(span, place),
    ...(parent === null ? {} : { parentSpanId: spanId(span, parent) }),
    name,
    kind: isRequest ? KINDS.client : KINDS.internal,
    startTimeUnixNano: nanos(from),
    // The clock may have been set back meanwhile.
    endTimeUnixNano: nanos(Math.max(from, to)),
    attributes: attributesOf(attributes),
    ...(error === null ? {} : { status: { code: FAILED, message: error } }),
  }
}

function nanos(ms: number): string {
  return String(BigInt(Math.round(ms * 1_000)) * 1_000n)
}

function attributesOf(attributes: Span['attributes']): readonly object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === null ? [] : [{ key, value: written(value) }],
  )
}

function written(value: Attribute): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

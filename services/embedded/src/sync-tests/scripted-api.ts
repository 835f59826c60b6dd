/** The API of a test: it notes requests, and gives the answers of the test in their order. */
import type { HttpSender, OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import type { TestAnswer } from '@sluice/project/sync-tests/sync-test-schema'

/** A request as the API received it. */
export interface ReceivedRequest extends Pick<OutgoingRequest, 'method' | 'url' | 'headers'> {
  readonly body: string | null
}

const FAILURES = {
  refused: { reason: 'not-sent', error: 'connect ECONNREFUSED' },
  timeout: { reason: 'timeout', error: 'no answer in time' },
  broken: { reason: 'broken', error: 'other side closed' },
} as const

export class ScriptedApi implements HttpSender {
  #answers: readonly TestAnswer[] = []
  #received: ReceivedRequest[] = []

  /** Forgets all requests, and gives these answers to the next ones. */
  begin(answers: readonly TestAnswer[]): void {
    this.#answers = answers
    this.#received = []
  }

  get received(): readonly ReceivedRequest[] {
    return this.#received
  }

  send({ method, url, headers, body, signal }: OutgoingRequest): Promise<SendResult> {
    signal.throwIfAborted()
    const answer = this.#answers[this.#received.length] ?? {}
    const text = body === null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(body)
    this.#received.push({ method, url, headers, body: text })
    return Promise.resolve({ ...resultOf(answer), startedAt: Date.now(), durationMs: 0 })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

type Result<Kind> = Kind extends unknown ? Omit<Kind, 'startedAt' | 'durationMs'> : never

function resultOf({ status = 200, headers = {}, body, json, fails }: TestAnswer): Result<SendResult> {
  if (fails !== undefined) return { kind: 'failed', ...FAILURES[fails] }
  const isJson = json !== undefined
  const given: { [name: string]: string } = isJson ? { 'content-type': 'application/json' } : {}
  for (const [name, value] of Object.entries(headers)) given[name.toLowerCase()] = value
  return {
    kind: 'answered',
    status,
    headers: given,
    body: isJson ? JSON.stringify(json) : (body ?? ''),
  }
}

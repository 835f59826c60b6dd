/** Sends one test request of a person, as delivery sends the requests of runs, and returns its attempt. */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Request, WaitNow } from '@sluice/contracts/records'
import type { TestAttempt, TestRequest } from '@sluice/contracts/test-records'
import type { HttpSender } from '@sluice/http-sender/port'
import { isMember, type Worker } from '@sluice/partition/own-partitions'
import type { LeaseQueue } from '@sluice/rate-limit/lease-queue'
import { redactText } from '@sluice/secrets/redact'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import type { Credential } from '../destination/attempt-credentials.ts'
import type { Target } from '../destination/target.ts'
import { WHOLE, type PartHistory, type UnownedAttempt } from '../ledger/request-history.ts'
import type { ResolveTarget } from '../run/open-run.ts'
import { DestinationGate } from '../send/destination-gate.ts'
import { sendRequest, type Sent } from '../send/send-request.ts'
import type { Throttles } from '../send/throttles.ts'

export interface TestSender {
  readonly sender: HttpSender
  readonly leases: LeaseQueue
  readonly throttles: Throttles
  readonly onError: (error: unknown) => void
  readonly resolveTarget: ResolveTarget
}

interface SendTestDeps extends TestSender {
  readonly worker: Worker
  /** The takeover marker of the partition's owner. */
  readonly marker: number
  /** It is not sent after this time, in ms since 1970. */
  readonly until: number
}

/** A test is sent once, whatever the sync says of retries. */
const NO_RETRIES = { pauseMs: () => null, splits: false }

/** Returns the intent of a test, which is recorded before it is sent. */
export function aboutToSend({ id, sync, trigger, keys, method, path, body }: TestRequest): TestAttempt {
  return {
    ...{ id, sync, trigger, keys, method },
    url: path,
    final: false,
    outcome: 'unknown',
    status: null,
    error: 'about to be sent',
    requestHeaders: {},
    requestBody: textOf(body),
    responseHeaders: {},
    responseBody: null,
    startedAt: Date.now(),
    durationMs: 0,
  }
}

/** Rejects only when aborted. A test that cannot be sent is unsent, with the reason. */
export async function sendTest(request: TestRequest, deps: SendTestDeps): Promise<TestAttempt> {
  const { worker, until } = deps
  const late = new AbortController()
  let why: () => string = () => 'it took too long to get the secrets of its destination'
  const timer = setTimeout(() => late.abort(new SluiceError('aborted', why())), until - Date.now())
  const signal = AbortSignal.any([worker.abort, late.signal])
  try {
    const target = await resolved(request, deps.resolveTarget, signal)
    const gate = new DestinationGate(deps.leases, {
      target,
      owner: { partition: `tests/${worker.target.partition}`, marker: deps.marker },
      onError: deps.onError,
      mayAct: () => isMember(worker),
      onUnreachable: () => undefined,
    })
    why = () => gate.waitsFor(0)?.detail ?? 'the limits of its destination let nothing through in time'
    const { attempt } = await sent(request, { ...deps, target, gate, signal })
    return attemptOf(request, attempt, target)
  } catch (error) {
    worker.abort.throwIfAborted()
    if (!isSluiceError(error)) throw error
    return { ...aboutToSend(request), final: true, outcome: 'unsent', error: error.message }
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves the target, and rejects at once if a secret is missing, since a person waits. */
async function resolved(
  { definition }: TestRequest,
  resolveTarget: ResolveTarget,
  signal: AbortSignal,
): Promise<Target> {
  const missing = new AbortController()
  const waitsFor = (wait: WaitNow | null): void => {
    if (wait !== null) missing.abort(new SluiceError('config', wait.detail))
  }
  return await resolveTarget(definition, { signal: AbortSignal.any([signal, missing.signal]), waitsFor })
}

interface Sending extends SendTestDeps {
  readonly target: Target
  readonly gate: DestinationGate
  /** Aborts when it is too late to send it. */
  readonly signal: AbortSignal
}

async function sent(
  request: TestRequest,
  { target, gate, sender, throttles, worker, signal }: Sending,
): Promise<Sent> {
  let history: PartHistory = WHOLE
  let lateMs = 0
  for (;;) {
    const credential = await credentialOf(target, signal)
    const [permit] = await gate.acquire(1, { signal })
    const sentAtMs = performance.now()
    const result = await sendRequest(
      {
        request: requestOf(request),
        requestOffset: 0,
        partition: worker.target.partition,
        runId: request.id,
        history,
      },
      {
        ...{ target, credential, sender, lateMs, retries: NO_RETRIES },
        sendBeforeMs: permit.useBeforeMs,
        signal: worker.abort,
      },
    )
    if (result.kind === 'late') {
      permit.end('late')
      lateMs += result.lateMs
      continue
    }
    permit.end(result.health)
    const { attempt, retryAfterMs } = result
    if (result.throttles) {
      const asked = { sentAtMs, nowMs: performance.now(), askedMs: retryAfterMs }
      gate.pause(throttles.pauseMs(target.destination, asked))
    }
    // It goes on only if the token was refused: it is then sent once more with a new one.
    const onlyTokenRefused = attempt.nextTryAt !== null && !history.triedNewToken
    if (!onlyTokenRefused) return result
    history = { ...history, attempts: 1, sends: 1, answers: 1, triedNewToken: true }
  }
}

async function credentialOf({ credentials }: Target, signal: AbortSignal): Promise<Credential | null> {
  if (credentials === null) return null
  const failure = await credentials.ready({ signal })
  signal.throwIfAborted()
  if (failure !== null) throw failure
  const { current } = credentials
  if (current === null) throw new SluiceError('unreachable', 'there is no access token at the moment')
  return current
}

/** Returns the test as the only request of a run. Its id makes its idempotency key unique. */
function requestOf({ id, trigger, method, path, headers, body, keys }: TestRequest): Request {
  const row = { op: trigger, uncertain: false, captured: null, retried: null, named: null }
  return {
    ...{ incarnation: id, owner: 0, run: 0, begin: 0, seq: 0, changesStart: 0, changesEnd: keys.length },
    ...{ trigger, method, path, headers, body, replayOf: null },
    rows: keys.map((key, seq) => ({ ...row, key, seq })),
  }
}

function attemptOf(request: TestRequest, attempt: UnownedAttempt, { secrets }: Target): TestAttempt {
  const { outcome, status, error, url, startedAt, durationMs } = attempt
  const { requestHeaders, responseHeaders, responseBody } = attempt
  const body = textOf(request.body)
  return {
    ...aboutToSend(request),
    ...{ final: true, outcome, status, error, url, startedAt, durationMs },
    ...{ requestHeaders, responseHeaders, responseBody },
    requestBody: body === null ? null : redactText(body, secrets),
  }
}

function textOf(body: Uint8Array | null): string | null {
  if (body === null) return null
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(body.subarray(0, RECORDED_BODY_BYTES))
}

/**
 * Compares the requests that an API got in a history with its topics (PROTOCOL.md §2, §8). Each request has
 * to say what its changes say, and none may be sent again without a reason. Attempts and retry entries have
 * to have the outcome that follows from the API's answer.
 */
import { isDeepStrictEqual } from 'node:util'
import type { RequestRow } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import type { PrintedRow } from './pipeline-definition.ts'
import type { ApiKind } from './plan.ts'
import type { Told } from './judge-changes.ts'
import { entryOf, type PlacedAttempt, type PlacedChange, type PlacedRequest } from './told-topics.ts'

/** A request as the API got it, and the answer. */
export interface Send {
  readonly run: number
  /** The process that sent it. */
  readonly life: number
  readonly rows: readonly PrintedRow[]
  readonly body: string
  readonly idempotencyKey: string | undefined
  /** `cut`: it may have arrived, but no answer came. */
  readonly told: number | 'cut' | 'not-sent'
}

export interface ToldRequests extends Told {
  readonly api: ApiKind
  readonly sends: readonly Send[]
}

interface Judged {
  readonly request: PlacedRequest
  readonly changes: readonly PlacedChange[]
  readonly sends: readonly Send[]
  readonly final: PlacedAttempt
}

export function judgeRequests(told: ToldRequests): void {
  const { topics, sends, onBroken } = told
  const requests = new Map(topics.requests.map(request => [placeOf(request), request]))
  const byFirst = Map.groupBy(sends, ({ run, rows }) => `${run}/${rows[0]?.key ?? ''}`)
  const attempts = Map.groupBy(topics.attempts, attempt => `${attempt.partition}/${attempt.requestOffset}`)
  const changes = new Map(topics.changes.map(change => [placeOf(change), change]))
  const judged: Judged[] = []
  if (requests.size < topics.requests.length) onBroken('a request stands twice in its topic')
  for (const request of topics.requests) {
    const [first] = request.rows
    const sentAs = `${request.run}/${first?.key ?? ''}`
    const of = {
      request,
      changes: request.rows.map(row => changeOf(told, { changes, request, row })),
      sends: byFirst.get(sentAs) ?? [],
      final: finalOf(told, request, attempts.get(`${request.partition}/${request.offset}`) ?? []),
    }
    byFirst.delete(sentAs)
    judgeRepeats(told, of)
    judgeOutcome(told, of)
    judgeEntries(told, of)
    judged.push(of)
  }
  for (const sentAs of byFirst.keys()) onBroken(`a request was sent that is in no topic (${sentAs})`)
  judgeAllRendered(told, judged)
  judgeKeys(told, judged)
}

function placeOf({ partition, run, seq }: { partition: number; run: number; seq: number }): string {
  return `${partition}/${run}/${seq}`
}

function changeOf(
  { onBroken }: Told,
  of: {
    readonly changes: ReadonlyMap<string, PlacedChange>
    readonly request: PlacedRequest
    readonly row: RequestRow
  },
): PlacedChange {
  const { partition, run, trigger } = of.request
  const change = of.changes.get(placeOf({ partition, run, seq: of.row.seq }))
  if (change === undefined || change.key !== of.row.key || change.op !== trigger)
    return onBroken(`run ${run}: the request for ${of.row.key} comes of no change`)
  return change
}

function finalOf(
  { onBroken }: Told,
  request: PlacedRequest,
  attempts: readonly PlacedAttempt[],
): PlacedAttempt {
  const last = attempts.at(-1)
  if (last?.final !== true || attempts.some(({ final }, index) => final && index < attempts.length - 1))
    return onBroken(`run ${request.run}: the request for ${keysOf(request)} does not end once`)
  return last
}

function keysOf({ rows }: { readonly rows: readonly { readonly key: string }[] }): string {
  return rows.map(({ key }) => key).join(' and ')
}

/** Each request says what its changes say. If it was sent again, it was throttled or its process died. */
function judgeRepeats({ onBroken }: Told, { request, changes, sends, final }: Judged): void {
  const { run } = request
  const used = sends.at(-1)?.idempotencyKey
  // A request that was only throttled, and then given up for this run, was never sent.
  const isUnsent = final.attempt === 0 && sends.every(({ told }) => told === 429 || told === 'not-sent')
  if (used !== undefined && used !== final.idempotencyKey && !(isUnsent && final.idempotencyKey === null))
    onBroken(`run ${run}: ${keysOf(request)} was written down with another idempotency key than was sent`)
  for (const [index, send] of sends.entries()) {
    const said = send.rows.map(({ op, key, printed }) => ({ op, key, ...printed }))
    const wanted = changes.map(({ op, key, before, after }) => {
      const row = op === 'removed' ? before : after
      return { op, key, v: row?.['v'], w: row?.['w'] }
    })
    if (!isDeepStrictEqual(said, wanted))
      onBroken(`run ${run} sent ${JSON.stringify(said)}, not ${JSON.stringify(wanted)}`)
    const earlier = sends[index - 1]
    if (earlier === undefined) continue
    if (earlier.told !== 429 && earlier.life === send.life)
      onBroken(`run ${run}: ${keysOf(request)} was sent again after ${earlier.told}`)
    if (earlier.idempotencyKey !== send.idempotencyKey || earlier.body !== send.body)
      onBroken(`run ${run}: ${keysOf(request)} was sent again as another request`)
  }
}

const RULED: { readonly [status: number]: Outcome } = { 404: 'missing', 409: 'exists' }
const BY_STATUS: { readonly [status: number]: Outcome } = { 200: 'delivered', 408: 'unknown', 500: 'unknown' }

function outcomeOf(told: Send['told'], api: ApiKind): Outcome {
  if (told === 'not-sent') return 'unsent'
  if (told === 'cut') return 'unknown'
  return BY_STATUS[told] ?? (api === 'upserts' ? 'rejected' : (RULED[told] ?? 'rejected'))
}

/** After an earlier try of unknown outcome, an answer decides only if it says something about the row. */
function inDoubt(outcome: Outcome, op: Op): Outcome {
  const tells = outcome === 'exists' ? op === 'added' : outcome === 'missing' ? op !== 'added' : false
  return outcome === 'delivered' || tells ? outcome : 'unknown'
}

function judgeOutcome(
  { api, runs, onBroken }: ToldRequests,
  { request, changes, sends, final }: Judged,
): void {
  const { run, trigger } = request
  const last = sends.at(-1)
  const wanted = new Set<Outcome>()
  if ('error' in request) wanted.add('rejected')
  else if (final.attempt === 0) wanted.add('unsent')
  else if (last !== undefined) wanted.add(outcomeOf(last.told, api))
  const isInDoubt = changes.every(({ retried }) => retried?.outcome === 'unknown' && !retried.answered)
  if (isInDoubt && wanted.has('unsent')) wanted.add('unknown')
  if (runs.get(run)?.died === true)
    for (const outcome of [...wanted]) wanted.add('error' in request ? outcome : inDoubt(outcome, trigger))
  if (final.outcome === 'throttled' || !wanted.has(final.outcome))
    onBroken(`run ${run}: ${keysOf(request)} came to ${final.outcome}, not ${[...wanted].join(' or ')}`)
}

/** A row is in `retry` if and only if it was not delivered. */
function judgeEntries({ topics, runs, onBroken }: Told, { request, changes, final }: Judged): void {
  const { run, trigger } = request
  // If the API never gave an id that the sync captures, it never will: the row is taken as gone.
  const captures = runs.get(run)?.plan.triggers.includes('added') === true
  const isGone = 'error' in request && trigger === 'removed' && request.lacks !== null && captures
  const { outcome } = final
  const hasArrived = outcome === 'delivered' || (trigger === 'removed' && outcome === 'missing')
  for (const change of changes) {
    // For a row that may or may not exist, the entry may be under way until delivery comes to the row again.
    const isSettled = change.beforeState === 'present' || change.retried?.outcome === 'rejected'
    const isArrived = hasArrived || (isGone && isSettled)
    const found = entryOf(topics.entries, change)?.outcome ?? 'delivered'
    const wanted = isArrived ? 'delivered' : outcome
    if (found !== wanted)
      onBroken(`run ${run}: ${change.key} came to ${wanted}, and is taken as ${found} by its retry entry`)
  }
}

/** Every change that needs a request is in one, and in no other (R8). */
function judgeAllRendered({ topics, onBroken }: Told, judged: readonly Judged[]): void {
  const rendered = judged.flatMap(({ changes }) => changes)
  const wanted = topics.changes.filter(({ op }) => op !== 'settled')
  if (new Set(rendered).size !== rendered.length || rendered.length !== wanted.length)
    onBroken(`${wanted.length} changes were to be sent, and ${rendered.length} are in requests`)
}

/** Only the exact repetition of a request in doubt has the same idempotency key (R7). */
function judgeKeys({ onBroken }: Told, judged: readonly Judged[]): void {
  const last = new Map<string, Judged>()
  const owners = new Map<string, Judged>()
  for (const own of judged.toSorted((a, b) => a.request.run - b.request.run)) {
    const { run, rows } = own.request
    const earlier = last.get(rows[0]?.key ?? '')
    for (const { key } of rows) last.set(key, own)
    const { idempotencyKey } = own.final
    if (idempotencyKey === null) continue
    const repeats = owners.get(idempotencyKey)
    owners.set(idempotencyKey, own)
    const wanted = earlier !== undefined && isRepetition(own, earlier) ? earlier : undefined
    if (repeats !== wanted && wanted?.final.idempotencyKey !== idempotencyKey)
      onBroken(`run ${run}: ${keysOf(own.request)} has an idempotency key that is not its own`)
  }
}

function isRepetition(own: Judged, earlier: Judged): boolean {
  const { outcome, answered, requestHash, idempotencyKey } = earlier.final
  const isSame = own.final.requestHash === requestHash && keysOf(own.request) === keysOf(earlier.request)
  // A request that was settled in between is no longer in doubt.
  const isNext = own.changes.every(({ retried }) => retried !== null)
  return isSame && isNext && idempotencyKey !== null && outcome === 'unknown' && !answered
}

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

/** The result of one row in an answer. */
export interface RowTold {
  readonly key: string
  readonly as: Outcome | 'throttled'
  /** The id that the API made for it. */
  readonly id: string | null
}

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
  /** The results of its rows in the answer, if it gave any. */
  readonly ofRows: readonly RowTold[] | null
}

export interface ToldRequests extends Told {
  readonly api: ApiKind
  readonly splitsBatches: boolean
  /** True if a rule of the sync says what a 404 means. */
  readonly tellsMissing: boolean
  readonly sends: readonly Send[]
}

/** The last attempt that a row was in, and what the row came to. */
interface RowEnd {
  readonly attempt: PlacedAttempt
  readonly outcome: Outcome
}

/** Rows that were sent together: the whole request, or a part of it. */
interface Unit {
  readonly request: PlacedRequest
  readonly changes: readonly PlacedChange[]
  /** The last attempt of exactly these rows. */
  readonly last: PlacedAttempt
}

interface Judged {
  readonly request: PlacedRequest
  readonly changes: readonly PlacedChange[]
  readonly sends: readonly Send[]
  readonly ends: ReadonlyMap<string, RowEnd>
  readonly units: readonly Unit[]
}

export function judgeRequests(told: ToldRequests): void {
  const { topics, sends, onBroken } = told
  const requests = new Map(topics.requests.map(request => [placeOf(request), request]))
  const ofKey = new Map(
    topics.requests.flatMap(request =>
      request.rows.map(({ key }) => [`${request.run}/${key}`, request] as const),
    ),
  )
  const sendsOf = Map.groupBy(sends, ({ run, rows }) => ofKey.get(`${run}/${rows[0]?.key ?? ''}`) ?? null)
  const attempts = Map.groupBy(topics.attempts, attempt => `${attempt.partition}/${attempt.requestOffset}`)
  const changes = new Map(topics.changes.map(change => [placeOf(change), change]))
  const judged: Judged[] = []
  if (requests.size < topics.requests.length) onBroken('a request stands twice in its topic')
  const strange = sendsOf.get(null)?.[0]
  if (strange !== undefined) onBroken(`a request was sent that is in no topic (${keysOf(strange)})`)
  for (const request of topics.requests) {
    const own = attempts.get(`${request.partition}/${request.offset}`) ?? []
    assertEndsOnce(told, request, own)
    const ofRows = request.rows.map(row => changeOf(told, { changes, request, row }))
    const of = {
      request,
      changes: ofRows,
      sends: sendsOf.get(request) ?? [],
      ends: endsOf(request, own),
      units: unitsOf(request, ofRows, own),
    }
    judgeRepeats(told, of)
    judgeOutcomes(told, of)
    judgeEntries(told, of)
    judged.push(of)
  }
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

/** One attempt is final, and it is the last. */
function assertEndsOnce(
  { onBroken }: Told,
  request: PlacedRequest,
  attempts: readonly PlacedAttempt[],
): void {
  if (
    attempts.at(-1)?.final !== true ||
    attempts.some(({ final }, index) => final && index < attempts.length - 1)
  )
    onBroken(`run ${request.run}: the request for ${keysOf(request)} does not end once`)
}

function rowsOf<R>(rows: readonly R[], { part }: PlacedAttempt): readonly R[] {
  return part === null ? rows : rows.filter((_, position) => part.includes(position))
}

/** By key. */
function endsOf(request: PlacedRequest, attempts: readonly PlacedAttempt[]): Judged['ends'] {
  const ends = new Map<string, RowEnd>()
  for (const attempt of attempts) {
    const { outcome } = attempt
    for (const { key, seq } of rowsOf(request.rows, attempt)) {
      const own = attempt.rows.find(row => row.seq === seq)?.outcome
      ends.set(key, { attempt, outcome: own ?? (outcome === 'throttled' ? 'unsent' : outcome) })
    }
  }
  return ends
}

function unitsOf(
  request: PlacedRequest,
  changes: readonly PlacedChange[],
  attempts: readonly PlacedAttempt[],
): readonly Unit[] {
  const last = new Map<string, Unit>()
  for (const attempt of attempts) {
    const place = JSON.stringify(attempt.part)
    // Behind the units that its rows were in before.
    last.delete(place)
    last.set(place, { request, changes: rowsOf(changes, attempt), last: attempt })
  }
  return [...last.values()]
}

function keysOf({ rows }: { readonly rows: readonly { readonly key: string }[] }): string {
  return rows.map(({ key }) => key).join(' and ')
}

/**
 * Each request says what its changes say. Rows are sent again only if they were still open, or their process
 * died.
 */
function judgeRepeats(told: ToldRequests, judged: Judged): void {
  const { onBroken } = told
  const { request, changes, sends } = judged
  const { run } = request
  assertKeysWritten(told, judged)
  for (const [index, send] of sends.entries()) {
    const said = send.rows.map(({ op, key, printed }) => ({ op, key, ...printed }))
    const wanted = changes
      .filter(({ key }) => send.rows.some(row => row.key === key))
      .map(({ op, key, before, after }) => {
        const row = op === 'removed' ? before : after
        return { op, key, v: row?.['v'], w: row?.['w'] }
      })
    if (!isDeepStrictEqual(said, wanted))
      onBroken(`run ${run} sent ${JSON.stringify(said)}, not ${JSON.stringify(wanted)}`)
    for (const { key } of send.rows) {
      const earlier = sends.slice(0, index).findLast(({ rows }) => rows.some(row => row.key === key))
      if (earlier?.life === send.life && !isOpenAfter(told, earlier, key))
        onBroken(`run ${run}: ${key} was sent again after ${toldOf(earlier, key)}`)
    }
    const same = sends.slice(0, index).find(({ rows }) => keysOf({ rows }) === keysOf(send))
    if (same !== undefined && (same.idempotencyKey !== send.idempotencyKey || same.body !== send.body))
      onBroken(`run ${run}: ${keysOf(send)} was sent again as another request`)
  }
}

/** The key that a part went under is written down with it. */
function assertKeysWritten({ onBroken }: Told, { request, sends, units }: Judged): void {
  for (const { changes, last } of units) {
    const own = sends.filter(({ rows }) => keysOf({ rows }) === keysOf({ rows: changes }))
    const used = own.at(-1)?.idempotencyKey
    // A request that was only throttled, and then given up for this run, was never sent.
    if (used === undefined || last.idempotencyKey === used) continue
    if (last.attempt === 0 && last.idempotencyKey === null) continue
    onBroken(
      `run ${request.run}: ${keysOf({ rows: changes })} was written down with another idempotency key than was sent`,
    )
  }
}

export function toldOf({ told, ofRows }: Send, key: string): Send['told'] | RowTold['as'] {
  return ofRows?.find(row => row.key === key)?.as ?? told
}

/** True if a row is to be sent again in the same run. */
function isOpenAfter({ splitsBatches }: ToldRequests, send: Send, key: string): boolean {
  const told = toldOf(send, key)
  if (told === 429 || told === 'throttled') return true
  return splitsBatches && told === 400 && send.rows.length > 1
}

const RULED: { readonly [status: number]: Outcome } = { 404: 'missing', 409: 'exists' }
const BY_STATUS: { readonly [status: number]: Outcome } = { 200: 'delivered', 408: 'unknown', 500: 'unknown' }

function outcomeOf(
  told: Send['told'] | RowTold['as'],
  { api, tellsMissing, changes }: Pick<ToldRequests, 'api' | 'tellsMissing'> & Pick<Judged, 'changes'>,
): Outcome {
  if (told === 'not-sent' || told === 'throttled' || told === 429) return 'unsent'
  if (told === 'cut') return 'unknown'
  if (typeof told !== 'number') return told
  if (told === 404 && !tellsMissing) {
    const confirms = changes.every(({ op, beforeState }) => op === 'removed' && beforeState !== 'present')
    return confirms ? 'delivered' : 'rejected'
  }
  return BY_STATUS[told] ?? (api === 'upserts' ? 'rejected' : (RULED[told] ?? 'rejected'))
}

/** After an earlier try of unknown outcome, an answer decides only if it says something about the row. */
function inDoubt(outcome: Outcome, op: Op): Outcome {
  const tells = outcome === 'exists' ? op === 'added' : outcome === 'missing' ? op !== 'added' : false
  return outcome === 'delivered' || tells ? outcome : 'unknown'
}

function judgeOutcomes(told: ToldRequests, { request, changes, sends, ends }: Judged): void {
  const { runs, onBroken } = told
  const { run, trigger } = request
  const rules = { ...told, changes }
  const isInDoubt = changes.some(({ retried }) => retried?.outcome === 'unknown' && !retried.answered)
  for (const { key } of changes) {
    const end = ends.get(key)
    const own = sends.filter(({ rows }) => rows.some(row => row.key === key))
    const last = own.at(-1)
    const wanted = new Set<Outcome>()
    if ('error' in request) wanted.add('rejected')
    else if (end?.attempt.attempt === 0) {
      wanted.add('unsent')
      for (const send of own)
        if (isOpenAfter(told, send, key)) wanted.add(outcomeOf(toldOf(send, key), rules))
    } else if (last !== undefined) wanted.add(outcomeOf(toldOf(last, key), rules))
    if (isInDoubt && wanted.has('unsent')) wanted.add('unknown')
    if (runs.get(run)?.died === true)
      for (const outcome of [...wanted]) wanted.add('error' in request ? outcome : inDoubt(outcome, trigger))
    // An earlier try of it may have taken the row away.
    if (runs.get(run)?.died === true && trigger === 'removed' && last?.told === 404) wanted.add('delivered')
    if (end === undefined || !wanted.has(end.outcome))
      onBroken(`run ${run}: ${key} came to ${end?.outcome ?? 'nothing'}, not ${[...wanted].join(' or ')}`)
  }
}

/** A row is in `retry` if and only if it was not delivered. */
function judgeEntries({ topics, runs, onBroken }: Told, { request, changes, ends }: Judged): void {
  const { run, trigger } = request
  // If the API never gave an id that the sync captures, it never will: the row is taken as gone.
  const captures = runs.get(run)?.plan.triggers.includes('added') === true
  const isGone = 'error' in request && trigger === 'removed' && request.lacks !== null && captures
  for (const change of changes) {
    const outcome = ends.get(change.key)?.outcome
    const hasArrived = outcome === 'delivered' || (trigger === 'removed' && outcome === 'missing')
    // For a row that may or may not exist, the entry may be under way until delivery comes to the row again.
    const isSettled = change.beforeState === 'present' || change.retried?.outcome === 'rejected'
    const isArrived = hasArrived || (isGone && isSettled)
    const found = entryOf(topics.entries, change)?.outcome ?? 'delivered'
    const wanted = isArrived ? 'delivered' : outcome
    if (found !== wanted)
      onBroken(
        `run ${run}: ${change.key} came to ${String(wanted)}, and is taken as ${found} by its retry entry`,
      )
  }
}

/** Every change that needs a request is in one, and in no other (R8). */
function judgeAllRendered({ topics, onBroken }: Told, judged: readonly Judged[]): void {
  const rendered = judged.flatMap(({ changes }) => changes)
  const wanted = topics.changes.filter(({ op }) => op !== 'settled')
  if (new Set(rendered).size !== rendered.length || rendered.length !== wanted.length)
    onBroken(`${wanted.length} changes were to be sent, and ${rendered.length} are in requests`)
}

/** Only the exact repetition of rows in doubt has the same idempotency key (R7). */
function judgeKeys({ onBroken }: Told, judged: readonly Judged[]): void {
  const last = new Map<string, Unit>()
  const owners = new Map<string, Unit>()
  const byRun = Map.groupBy(judged, ({ request }) => request.run)
  for (const [run, ofRun] of [...byRun].sort(([a], [b]) => a - b)) {
    const units = ofRun.flatMap(of => of.units)
    for (const own of units) {
      const earlier = last.get(own.changes[0]?.key ?? '')
      const { idempotencyKey } = own.last
      if (idempotencyKey === null) continue
      const repeats = owners.get(idempotencyKey)
      owners.set(idempotencyKey, own)
      // A row that is tried no more keeps the key of its last try, with all rows that were in that.
      if (own.last.attempt === 0 && repeats?.request === own.request) continue
      const wanted = earlier !== undefined && isRepetition(own, earlier) ? earlier : undefined
      if (repeats !== wanted && wanted?.last.idempotencyKey !== idempotencyKey)
        onBroken(`run ${run}: ${keysOf({ rows: own.changes })} has an idempotency key that is not its own`)
    }
    for (const own of units) for (const { key } of own.changes) last.set(key, own)
  }
}

function isRepetition(own: Unit, earlier: Unit): boolean {
  const { outcome, answered, requestHash, idempotencyKey } = earlier.last
  const isSame =
    own.last.requestHash === requestHash &&
    keysOf({ rows: own.changes }) === keysOf({ rows: earlier.changes })
  // A request that was settled in between is no longer in doubt.
  const isNext = own.changes.every(({ retried }) => retried !== null)
  return isSame && isNext && idempotencyKey !== null && outcome === 'unknown' && !answered
}

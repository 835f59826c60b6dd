/** Definitions and records that are complete and right. A test changes only the fields that it is about. */
import type {
  Attempt,
  Change,
  PartitionReport,
  Request,
  RequestRow,
  Retried,
  RetryEntry,
  RunEvent,
  Slice,
} from '@sluice/contracts/records'
import { destination, duckdbSource, model, sync, type Definition } from '@sluice/contracts/resources'
import type { OpCounts, ReplayOf } from '@sluice/contracts/state'

export const SYNC = 's'
export const INCARNATION = 'i'

const OWNED = { incarnation: INCARNATION, owner: 0 } as const

/** The fields that a project file would have, without the names. */
export interface DefinitionFields {
  readonly path?: string
  readonly sql?: string
  readonly destination?: { readonly [field: string]: unknown }
  readonly sync?: { readonly [field: string]: unknown }
}

/** One sync that sends each added row by itself, in one partition, with limits that slow nothing down. */
export function sampleDefinition(fields: DefinitionFields = {}): Definition {
  return {
    source: duckdbSource.parse({ kind: 'source', name: 'src', type: 'duckdb', path: fields.path ?? '/tmp' }),
    model: model.parse({
      kind: 'model',
      name: 'm',
      source: 'src',
      sql: fields.sql ?? 'select 1 as id',
      primaryKey: 'id',
    }),
    destination: destination.parse({
      kind: 'destination',
      name: 'd',
      baseUrl: 'http://api',
      limits: { rate: { requests: 100_000, per: 'second' }, concurrency: 50 },
      ...fields.destination,
    }),
    sync: sync.parse({
      kind: 'sync',
      name: SYNC,
      model: 'm',
      destination: 'd',
      partitions: 1,
      triggers: { added: { method: 'POST', path: '/rows/{{ id }}' } },
      ...fields.sync,
    }),
  }
}

export function sampleCounts(figures: Partial<OpCounts> = {}): OpCounts {
  const none = { detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0 }
  return { ...none, requests: 0, attempts: 0, ...figures }
}

/** The event of a run at work. */
export function sampleEvent(fields: Partial<RunEvent> = {}): RunEvent {
  return {
    sync: SYNC,
    incarnation: INCARNATION,
    runId: 'RUN1',
    run: 1,
    status: 'running',
    cause: 'manual',
    scope: null,
    marker: 0,
    command: -1,
    cancelling: false,
    definition: null,
    first: false,
    complete: false,
    partitions: 1,
    queuedAt: 1,
    startedAt: 1,
    endedAt: null,
    rowsRead: 0,
    rowsInvalid: 0,
    undecided: 0,
    invalidSamples: [],
    counts: {},
    error: null,
    errorCode: null,
    notices: [],
    ends: [],
    faults: [],
    held: null,
    approved: null,
    upTo: null,
    asked: null,
    restoring: null,
    deaths: 0,
    by: null,
    fired: null,
    aside: null,
    phases: null,
    certificates: null,
    errorPlaces: null,
    deliveredTo: null,
    ...fields,
  }
}

/** The report of a partition in which the run has ended. */
export function sampleReport(fields: Partial<PartitionReport> = {}): PartitionReport {
  return {
    sync: SYNC,
    incarnation: INCARNATION,
    run: 1,
    partition: 0,
    marker: 0,
    counts: {},
    ended: true,
    faultedFrom: null,
    error: null,
    errorCode: null,
    requestsEnd: 0,
    attemptsEnd: 0,
    waits: null,
    phases: null,
    certificates: null,
    ...fields,
  }
}

/** A row that was added. */
export function sampleChange(fields: Partial<Change> = {}): Change {
  const { key = 'a' } = fields
  return {
    ...OWNED,
    run: 1,
    seq: 0,
    op: 'added',
    key,
    before: null,
    beforeState: 'absent',
    after: { id: key },
    settledState: null,
    muted: null,
    captured: null,
    retried: null,
    replayed: null,
    ...fields,
  }
}

export function sampleRow(fields: Partial<RequestRow> = {}): RequestRow {
  return {
    key: 'a',
    seq: 0,
    op: 'added',
    uncertain: false,
    captured: null,
    retried: null,
    named: null,
    ...fields,
  }
}

/** The place at which a request was recorded that is sent again. */
export function sampleReplayOf(fields: Partial<ReplayOf> = {}): ReplayOf {
  return { change: 0, command: 1, run: 1, runId: 'R', partition: 0, seq: 0, offset: 1, ...fields }
}

export function sampleRequest(fields: Partial<Request> = {}): Request {
  return {
    ...OWNED,
    run: 1,
    begin: 0,
    seq: 0,
    trigger: 'added',
    method: 'POST',
    path: '/rows/a',
    headers: {},
    body: null,
    rows: [sampleRow()],
    changesStart: 0,
    changesEnd: 1,
    replayOf: null,
    ...fields,
  }
}

/** A first attempt that delivered its request. */
export function sampleAttempt(fields: Partial<Attempt> = {}): Attempt {
  return {
    ...OWNED,
    run: 1,
    runId: 'RUN1',
    seq: 0,
    requestOffset: 0,
    attempt: 1,
    part: null,
    partBody: null,
    trigger: 'added',
    outcome: 'delivered',
    final: true,
    parts: null,
    nextTryAt: null,
    answered: true,
    status: 200,
    error: null,
    method: 'POST',
    url: 'http://api/rows/a',
    requestHash: 'hash',
    idempotencyKey: 'key',
    requestHeaders: {},
    responseHeaders: {},
    responseBody: '',
    startedAt: 1,
    durationMs: 1,
    rows: [],
    checkpoint: null,
    ...fields,
  }
}

/** The record that a request in doubt left behind: one attempt without an answer. */
export function sampleRetried(fields: Partial<Retried> = {}): Retried {
  return {
    idempotencyKey: 'key',
    outcome: 'unknown',
    answered: false,
    requestHash: 'hash',
    requestRows: 1,
    attempts: 1,
    runs: 1,
    since: 1,
    ...fields,
  }
}

/** The end of the first slice of a run, as `requests` has it. */
export function sampleSlice(fields: Partial<Slice> = {}): Slice {
  return {
    ...OWNED,
    run: 1,
    slice: 1,
    begin: 0,
    count: 0,
    position: null,
    input: 0,
    requestsEnd: null,
    attemptsEnd: null,
    committedAt: null,
    ...fields,
  }
}

/** A row that the API rejected. */
export function sampleEntry(fields: Partial<RetryEntry> = {}): RetryEntry {
  return {
    ...OWNED,
    ...sampleRetried({ outcome: 'rejected', answered: true }),
    run: 1,
    seq: 0,
    op: 'added',
    status: 422,
    error: 'HTTP 422',
    ...fields,
  }
}

/**
 * Sample rows for people who edit resources: as they are, and as requests. They are cached for some seconds,
 * so that not each key typed in a template starts a query.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  asIf,
  findNextChanges,
  type NextChanges,
  type PlacedRow,
} from '@sluice/change-detector/detect/next-changes'
import { templateColumns } from '@sluice/change-detector/detect/template-columns'
import { SluiceError } from '@sluice/contracts/errors'
import { type CountsByOp, type Op, OPS } from '@sluice/contracts/state'
import type { Definition, KafkaSourceSpec } from '@sluice/contracts/resources'
import type { ColumnType } from '@sluice/contracts/values'
import type { NextRun } from '@sluice/control/runs/next-run'
import type { RowsFrom } from '@sluice/control/port'
import type { Samples } from '@sluice/control/resources/sample-preview'
import { makeFilesPrivate } from '@sluice/runtime/private-files'
import { renderInThread } from '@sluice/templates/adapters/thread'
import { RecordIo } from '@sluice/topics/record-io'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import type { KeptSecrets } from '@sluice/secrets/bound-secrets'
import { openSource, topicsIn } from '@sluice/sources/adapters/open-source'
import { limitedSource, readSample, type SampledRows } from '@sluice/sources/adapters/sample-rows'
import { RecentMap } from '@sluice/flow/recent-map'
import { openState } from '@sluice/delivered-state/adapters/state-cache'
import { NOTHING_KEPT, sourceOptionsOf, stateMemoryOf, type EmbeddedOptions } from '../source-options.ts'
import { knownSecrets } from '../folder-secrets.ts'
import { previewedTarget, previewOf } from '../preview-changes.ts'

const KEPT_MS = 15_000
const KEPT_BYTES = 32_000_000

interface Kept<T> {
  readonly value: Promise<T>
  readonly untilMs: number
  readonly bytes: number
}

/** Caches the rows of a source for some seconds, while somebody edits a template that uses it. */
export class SampleCache<T> {
  readonly #kept: RecentMap<string, Kept<T>>
  readonly #bytesOf: (value: T) => number
  readonly #nowMs: () => number

  constructor(bytesOf: (value: T) => number, nowMs: () => number = () => performance.now()) {
    this.#bytesOf = bytesOf
    this.#nowMs = nowMs
    this.#kept = new RecentMap({ limit: KEPT_BYTES, weightOf: ({ bytes }) => bytes })
  }

  /** Returns the cached value of this key, or calls `read`. Failures and too large values are not cached. */
  async get(key: string, read: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(key)
    if (kept !== undefined && kept.untilMs > this.#nowMs()) return await kept.value
    const value = await read()
    const bytes = key.length + this.#bytesOf(value)
    this.#kept.set(key, { value: Promise.resolve(value), untilMs: this.#nowMs() + KEPT_MS, bytes })
    return value
  }
}

/** A person waits for the answer, so a longer query is aborted. */
const QUERY_MS = 20_000
const PREFIX = 'sluice'
const MAX_TOPICS = 10_000

interface Sample {
  readonly columns: NextChanges['columns']
  readonly diff: NextChanges['diff']
  readonly rows: readonly PlacedRow[]
}

type SamplesOptions = Omit<EmbeddedOptions, 'signal'>

/** Reads rows as the services of this process may: with its secrets, and from the files that it may read. */
export function samplesOf(options: SamplesOptions, dir: string | null): Samples {
  const samples = new SampleCache<Sample>(({ rows }) => rows.reduce((sum, { bytes }) => sum + 4 * bytes, 0))
  const tables = new SampleCache<SampledRows>(({ rows }) => JSON.stringify(rows).length)
  return {
    dir,
    openSample: async (definition, { rows, op }, asking) => {
      const { model, source } = definition
      const key = JSON.stringify([source, model, rows])
      const sample = await samples.get(key, () => sampleOf(definition, rows, { ...options, ...asking }))
      templateColumns(definition).assertKnown(sample.columns)
      return asNextRun(sample, {
        definition,
        op,
        kept: asking.vault ?? NOTHING_KEPT,
        options: { ...options, signal: asking.signal },
      })
    },
    readRows: async (spec, { from, limit }, asking) => {
      const key = JSON.stringify([spec, from, limit])
      const {
        columns,
        rows,
        more,
        key: ofRows,
      } = await tables.get(key, () => firstRows(spec, { from, limit }, { ...options, ...asking }))
      return {
        columns: columns.map(({ name, type }) => ({ name, type: typeText(type) })),
        rows: rows.map(row => ({ ...row })),
        more,
        ...(ofRows === undefined ? {} : { key: [...ofRows] }),
      }
    },
  }
}

type ReadingOptions = SamplesOptions & { readonly signal: AbortSignal; readonly vault: KeptSecrets | null }

/** The signal of somebody who waits. It also ends reading that takes too long. */
function inTime({ signal }: ReadingOptions): AbortSignal {
  const late = new AbortController()
  const why = `The query took longer than ${QUERY_MS / 1_000} s: let it read less, or look at fewer rows.`
  setTimeout(() => late.abort(new SluiceError('too-long', why)), QUERY_MS).unref()
  return AbortSignal.any([signal, late.signal])
}

async function openFor(spec: Definition['source'], options: ReadingOptions) {
  const source = await openSource(spec, sourceOptionsOf(options, options.vault ?? NOTHING_KEPT))
  return { signal: inTime(options), source }
}

/** The first rows of what a person looks at before they name a model. */
async function firstRows(
  spec: Definition['source'],
  { from, limit }: { readonly from: RowsFrom; readonly limit: number },
  options: ReadingOptions,
): Promise<SampledRows> {
  const { primaryKey, ...rows } = from
  const { sql, table, topic } = rows
  if (spec.type === 'kafka' && topic === undefined) return await topicRows(spec, options)
  if (sql === undefined && table === undefined && topic === undefined)
    throw new SluiceError('query', 'Say which rows to read: `sql`, `table` or `topic`.')
  return await inFolder(async folder => {
    const { signal, source } = await openFor(spec, options)
    await using opened = source
    // A topic has a key of its own, and other rows need none to be looked at.
    const keyed =
      primaryKey !== undefined
        ? { primaryKey: [...primaryKey] }
        : topic === undefined
          ? { primaryKey: '' }
          : {}
    const model = { kind: 'model', name: '', source: spec.name, ...rows, ...keyed } as const
    return await readSample(opened, { model, rows: limit, file: join(folder, 'rows.duckdb'), signal })
  })
}

/** The topics of a source, a row each. They are short, so a person gets more of them than rows. */
async function topicRows(spec: KafkaSourceSpec, options: ReadingOptions): Promise<SampledRows> {
  const reading = sourceOptionsOf(options, options.vault ?? NOTHING_KEPT)
  const topics = await topicsIn(spec, reading, { signal: inTime(options) })
  return {
    columns: [{ name: 'topic', type: { kind: 'text' } }],
    rows: topics.slice(0, MAX_TOPICS).map(topic => ({ topic })),
    more: topics.length > MAX_TOPICS,
  }
}

/** The first rows of the model, found as a first run would find them. */
async function sampleOf(definition: Definition, rows: number, options: ReadingOptions): Promise<Sample> {
  return await inFolder(async folder => {
    const { signal, source } = await openFor(definition.source, options)
    await using limited = limitedSource(source, rows)
    await using codec = createSqliteCodec({ file: join(folder, 'schemas.db') })
    await mkdir(join(folder, 'state'))
    await using next = await findNextChanges({
      history: null,
      io: RecordIo.reading(codec, PREFIX),
      definition: { ...definition, sync: plainSync(definition) },
      openSource: () => Promise.resolve(limited),
      openState: state =>
        openState(folder, { ...state, memoryLimit: stateMemoryOf(options.env) }, options.logger),
      extractFile: join(folder, 'extract.duckdb'),
      signal,
    })
    const found: PlacedRow[] = []
    for await (const some of next.changes({})) found.push(...some)
    return { columns: next.columns, diff: next.diff, rows: found }
  })
}

/** The sync without its templates, so that the sample does not depend on them while they are edited. */
function plainSync({ sync }: Definition): Definition['sync'] {
  const { errors: _errors, compare: _compare, ...others } = sync
  return {
    ...others,
    firstRun: 'backfill',
    partitions: 1,
    triggers: { added: { method: 'POST', path: '/' } },
  }
}

function asNextRun(
  { columns, diff, rows }: Sample,
  {
    definition,
    op: only,
    kept,
    options,
  }: {
    readonly definition: Definition
    readonly op: Op | undefined
    readonly kept: KeptSecrets
    readonly options: EmbeddedOptions
  },
): NextRun {
  const ops = OPS.filter(op => definition.sync.triggers[op] !== undefined && (only ?? op) === op)
  const none = { delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
  const counts: CountsByOp = Object.fromEntries(ops.map(op => [op, { ...none, detected: rows.length }]))
  const next: NextChanges = {
    ...{ columns, diff: { ...diff, counts, keysBefore: 0 }, baseline: false },
    ...{ asks: false, interrupted: false, changed: null },
    changes: ({ key, rows: maxRows = Infinity }) => sampled(rows, ops, { key, maxRows }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const secrets = knownSecrets(options.env, kept)
  const target = previewedTarget(definition, secrets)
  const { newRunId, serves = false, signal } = options
  const render = serves ? renderInThread(signal) : undefined
  const preview = previewOf({ next, definition, target, newRunId, render }, secrets.missing)
  return { ...preview, [Symbol.asyncDispose]: () => Promise.resolve() }
}

async function* sampled(
  rows: readonly PlacedRow[],
  ops: readonly Op[],
  { key, maxRows }: { readonly key: string | undefined; readonly maxRows: number },
): AsyncGenerator<readonly PlacedRow[]> {
  await Promise.resolve()
  const wanted = rows.filter(({ change }) => key === undefined || change.key === key).slice(0, maxRows)
  for (const op of ops)
    yield wanted.map(row => ({ ...row, partition: 0, isSample: true, change: asIf(row.change, op) }))
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  makeFilesPrivate()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sample-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function typeText(type: ColumnType): string {
  switch (type.kind) {
    case 'timestamp':
      return type.zone ? 'timestamp with time zone' : 'timestamp'
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'list':
      return `list of ${typeText(type.of)}`
    default:
      return type.kind
  }
}

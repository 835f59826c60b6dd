/** The definition of a history's sync, and the parser for the requests of its templates. */
import type { Definition } from '@sluice/contracts/resources'
import type { Op } from '@sluice/contracts/state'
import type { HttpSender } from '@sluice/http-sender/port'
import type { SentRow } from './apis.ts'
import type { PipelinePlan, PipelineRun } from './pipeline-plan.ts'
import { tellsMissing, type Row } from './plan.ts'

const ROWS = "read_csv('rows.csv', header = true, columns = { id: 'VARCHAR', v: 'INTEGER', w: 'INTEGER' })"
export const SQL = `select id, v, w from ${ROWS}`
const SQL_WITH_EXTRA = `select id, v, w, 7 as x from ${ROWS}`
const PRINTED = { columns: '{"v":{{ row.v }},"w":{{ row.w }}}', row: '{{ row | json }}' }
/** The rules for an API that says what exists and what is missing. */
const ANSWERS: NonNullable<Definition['sync']['errors']>['answers'] = [
  { status: 409, as: 'exists' },
  { status: 404, as: 'missing' },
]

/** The lists of an answer that tells of each row. */
export const ROW_OUTCOMES = ['delivered', 'rejected', 'unknown', 'throttled', 'exists', 'missing'] as const
const ROW_RESULTS: NonNullable<Definition['sync']['errors']>['rowResults'] = ROW_OUTCOMES.map(as => ({
  items: `$.${as}[*]`,
  row: { id: '$.key' },
  as,
}))

/** A row that failed in this many runs is passed over. Null: never. */
export function giveUpAfterOf(plan: PipelinePlan, { givesUp }: PipelineRun): number | null {
  return givesUp ? plan.giveUpAfter : null
}

export function definitionOf(before: Definition, plan: PipelinePlan, run: PipelineRun): Definition {
  const { api, skipExisting, tellsRows, splitsBatches, atMostOnce } = plan
  const { compare } = run
  const giveUpAfter = giveUpAfterOf(plan, run)
  const givesUp = giveUpAfter === null ? {} : { giveUpAfter }
  const rules = ANSWERS?.filter(({ as }) => as !== 'missing' || tellsMissing(plan))
  const answers = api === 'upserts' ? {} : { answers: rules }
  const rows = tellsRows ? { rowResults: ROW_RESULTS } : {}
  const { compare: _compare, ...sync } = before.sync
  return {
    ...before,
    model: { ...before.model, sql: run.extraColumn ? SQL_WITH_EXTRA : SQL },
    sync: {
      ...sync,
      firstRun: skipExisting ? 'skip-existing' : 'backfill',
      // A history has no person who approves. The guard is judged by tests of its own.
      removalGuard: false,
      delivery: atMostOnce ? 'at-most-once' : 'at-least-once',
      triggers: triggersOf(plan, run),
      errors: { retry: 'next-run', splitBatches: splitsBatches, ...answers, ...rows, ...givesUp },
      ...(compare === null ? {} : { compare }),
    },
  }
}

function triggersOf(
  { api, batchSize, tellsRows }: PipelinePlan,
  { triggers, prints }: PipelineRun,
): Definition['sync']['triggers'] {
  const row = `"key":{{ row.id | json }},"row":${PRINTED[prints]}`
  const rows = `[{% for row in rows %}{${row}},{% endfor %}]`
  const batch = batchSize === 1 ? {} : { batch: { size: batchSize } }
  // In a batch the path starts from the row's item, else from the whole answer.
  const idPath = batchSize === 1 && tellsRows ? '$.delivered[0].id' : '$.id'
  const spec = (op: Op): object => {
    if (api !== 'makes-ids') return { body: { json: rows }, ...batch }
    if (op === 'added') return { body: { json: rows }, capture: { thing: idPath }, ...batch }
    const withId = `[{% for row in rows %}{${row},"id":{{ row.captured.thing | json }}},{% endfor %}]`
    return {
      body: { json: batchSize === 1 ? `[{${row},"id":{{ captured.thing | json }}}]` : withId },
      ...batch,
    }
  }
  return Object.fromEntries(triggers.map(op => [op, { method: 'POST', path: `/${op}`, ...spec(op) }]))
}

/** A row as a request prints it, also in a removal. */
export interface PrintedRow extends SentRow {
  readonly printed: Row
}

export function rowsOf({ url, body }: Parameters<HttpSender['send']>[0]): readonly PrintedRow[] {
  const op = url.split('/').at(-1)
  if (op !== 'added' && op !== 'changed' && op !== 'removed') throw new Error(`nothing is sent to ${url}`)
  const rows: readonly { readonly key: string; readonly row: Row; readonly id?: string }[] = JSON.parse(
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(body ?? undefined),
  )
  return rows.map(({ key, row: { v, w }, id = null }) => {
    const printed = { v, w }
    return { op, key, row: op === 'removed' ? null : printed, id, printed }
  })
}

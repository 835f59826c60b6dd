/** Compares what an API has with the model of a history. */
import { isDeepStrictEqual } from 'node:util'
import type { Api } from './apis.ts'
import { EVERY_KEY, folded, type HistoryPlan, type Row } from './plan.ts'

/** The first difference, or null. */
export function differenceOf(of: {
  readonly plan: Pick<HistoryPlan, 'api' | 'foldsKeys'>
  readonly api: Api
  readonly model: ReadonlyMap<string, Row>
  /** Keys whose row may differ. */
  readonly excused: ReadonlySet<string>
  /** Keys that the API may have though the model does not. */
  readonly orphans: ReadonlySet<string>
}): string | null {
  const { plan, api, model, excused, orphans } = of
  const formOf = (key: string): string => (plan.foldsKeys ? folded(key) : key)
  const objects = api.objects()
  for (const [form, keys] of Map.groupBy(EVERY_KEY, formOf)) {
    const rows = keys.flatMap(key => model.get(key) ?? [])
    const [row] = rows
    if (keys.some(key => excused.has(key) || (row === undefined && orphans.has(key)))) continue
    const there = objects.filter(({ key }) => formOf(key) === form).map(object => JSON.stringify(object.row))
    // An API that makes ids keeps objects whose id never arrived or was lost. No request can name them.
    const isRight =
      plan.api === 'makes-ids'
        ? row === undefined || there.includes(JSON.stringify(row))
        : row === undefined
          ? there.length === 0
          : // If the model has both spellings, the API has the row that came last.
            rows.some(each => isDeepStrictEqual(there, [JSON.stringify(each)]))
    if (!isRight) return `${form} is ${there.join(' and ')}, not ${JSON.stringify(row)}`
  }
  return null
}

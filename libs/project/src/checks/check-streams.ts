/**
 * Checks the syncs with `schedule: continuous`, and what belongs to these alone. A stream needs a model whose
 * source has a log of its changes.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { ModelSpec, ResourceSpec, SourceSpec, SyncSpec } from '@sluice/contracts/resources'
import type { DecodedResource } from '../decode/decoded.ts'
import { detailAt, type FieldPath } from '../decode/places.ts'
import { placeOf } from './check-references.ts'

interface Problem {
  readonly path: FieldPath
  readonly message: string
}

/** The problems of streams. A sync whose model or source has other mistakes, or is missing, has none here. */
export function checkStreams(decoded: readonly DecodedResource[]): ErrorDetail[] {
  const specs = new Map(
    decoded.flatMap(({ spec }) => (spec === null ? [] : [[`${spec.kind}/${spec.name}`, spec] as const])),
  )
  const slots = new Map<string, string>()
  return decoded.flatMap(resource => {
    const { spec } = resource
    if (spec?.kind !== 'sync') return []
    const found = [...ownProblems(spec), ...problemsOfModel(spec, specs, slots)]
    return found.map(({ path, message }) =>
      detailAt(placeOf(resource, path), path, `sync \`${spec.name}\`: ${message}`),
    )
  })
}

/** Returns the fields that a stream cannot have, and those that only a stream can. */
function ownProblems({ schedule, slice, errors, maxDuration, delivery }: SyncSpec): Problem[] {
  if (schedule === 'continuous') {
    const problems: Problem[] = []
    const beside = 'beside `schedule: continuous`'
    if (maxDuration !== undefined)
      problems.push({ path: ['maxDuration'], message: `no \`maxDuration\` ${beside}: a stream has no end` })
    if (delivery === 'at-most-once') {
      const message = `wanted \`at-least-once\` ${beside}, found \`at-most-once\`; with another schedule it may stand`
      problems.push({ path: ['delivery'], message })
    }
    return problems
  }
  const only = 'only beside `schedule: continuous`'
  const problems: Problem[] = []
  if (slice !== undefined)
    problems.push({ path: ['slice'], message: `\`slice\` has a meaning ${only}: it cuts a stream` })
  if (errors?.retryAfter !== undefined) {
    const message = `\`retryAfter\` has a meaning ${only}: otherwise the next run tries failed rows again`
    problems.push({ path: ['errors', 'retryAfter'], message })
  }
  return problems
}

/** `slots` has the sync of each replication slot that a source names. */
function problemsOfModel(
  { name, schedule, model: modelName }: SyncSpec,
  specs: ReadonlyMap<string, ResourceSpec>,
  slots: Map<string, string>,
): Problem[] {
  const model = specs.get(`model/${modelName}`)
  const source = model?.kind === 'model' ? specs.get(`source/${model.source}`) : undefined
  if (schedule !== 'continuous' || model?.kind !== 'model' || source?.kind !== 'source') return []
  const missing = whatIsMissing(model, source)
  if (missing !== null) {
    const wanted =
      '`continuous` needs a model with `topic`, or with a `table` of a postgres source with `follow`'
    return [{ path: ['schedule'], message: `${wanted}; ${missing}` }]
  }
  const slot = source.type === 'postgres' ? source.follow?.slot : undefined
  if (slot === undefined) return []
  const other = slots.get(`${source.name} ${slot}`)
  slots.set(`${source.name} ${slot}`, name)
  if (other === undefined) return []
  const message = `the slot \`${slot}\` of source \`${source.name}\` is read by sync \`${other}\` already, and serves one stream; leave \`slot\` out, and each sync has its own`
  return [{ path: ['schedule'], message }]
}

/** Says why a model has no stream; null if it has one. A model of a topic with mistakes has others. */
function whatIsMissing(model: ModelSpec, source: SourceSpec): string | null {
  if (source.type === 'kafka') return null
  const where = `source \`${source.name}\``
  if (source.type !== 'postgres')
    return `${where} is of type ${source.type}, which has no stream. Another schedule reads it, such as \`{ every: 1m }\``
  if (model.table === undefined)
    return `model \`${model.name}\` has \`sql\`, whose result has no log of changes. Write \`table\` in its place`
  if (source.follow === undefined) return `write \`follow: {}\` into ${where}`
  return null
}

/** The steps of an editor, and the step at which a mistake can be mended. */
import type { Problem } from '@sluice/contracts/api'
import { fileOf, type Kind } from './draft.ts'

type Detail = Problem['errors'][number]

export const STEPS = [
  { id: 'source', name: 'Source', kind: 'source' },
  { id: 'model', name: 'Model', kind: 'model' },
  { id: 'destination', name: 'Destination', kind: 'destination' },
  { id: 'requests', name: 'Requests', kind: 'sync' },
  { id: 'behaviour', name: 'Schedule and errors', kind: 'sync' },
  { id: 'review', name: 'Review', kind: null },
] as const satisfies readonly { readonly id: string; readonly name: string; readonly kind: Kind | null }[]

export type Step = (typeof STEPS)[number]
export type StepId = Step['id']

/** Two steps share the sync's text. Mistakes in triggers, and those without a field, belong to "Requests". */
export function stepOf({ file = '', field = '' }: Detail): Step {
  const isOfTriggers = field === '' || field.startsWith('triggers')
  const id = file === fileOf('sync') && !isOfTriggers ? 'behaviour' : 'requests'
  return STEPS.find(({ kind }) => kind !== 'sync' && kind !== null && file === fileOf(kind)) ?? stepWith(id)
}

function stepWith(id: StepId): Step {
  return STEPS.find(step => step.id === id) ?? STEPS[0]
}

/** The fields of each step that its form shows from the start, and so with their mistakes. */
const SHOWN: { readonly [step in StepId]?: RegExp } = {
  source: /^(?:name|type|path|url|password|brokers\b.*|sasl\.(?:username|password)|registry)$/,
  model: /^(?:$|sql|table|topic|format|primaryKey|name)/,
  destination:
    /^(?:name|baseUrl|headers\..+|limits\..+|auth\.(?:basic|bearer|oauth2\.(?:tokenUrl|authorizationUrl|clientId|clientSecret|username|password|refreshToken|privateKey|scopes))\b.*)$/,
  behaviour:
    /^(?:name|schedule.*|slice.*|errors\.(?:attempts|giveUpAfter|retryAfter|backoff.*)|removalGuard\..+)$/,
}

/** True if the form of this step shows the mistake at its field. */
export function isShownAtField(detail: Detail, step: StepId, trigger: string): boolean {
  const { field = '' } = detail
  if (stepOf(detail).id !== step) return false
  if (step !== 'requests') return SHOWN[step]?.test(field) ?? false
  const start = `triggers.${trigger}.`
  return (
    field.startsWith(start) &&
    /^(?:path$|method$|batch\.|body\.(?:json|xml|text)\b)/.test(field.slice(start.length))
  )
}

/** The messages between the thread that works on documents and the thread that asks it. */
import type { ResourceRecord } from '@sluice/contracts/document-records'
import type { Failure } from '@sluice/contracts/errors'
import type { ProjectResources, WrittenDocument } from '../../port.ts'
import type { Plan } from '../resource-plan.ts'
import type { Checked, CheckedResource } from './document-work.ts'

/** `stored` has the resources alone, by their keys. */
export type Task =
  | {
      readonly kind: 'check'
      readonly documents: readonly WrittenDocument[]
      readonly stored: ReadonlyMap<string, ResourceRecord>
      readonly dir: string | null
    }
  | {
      readonly kind: 'plan'
      readonly stored: ReadonlyMap<string, ResourceRecord>
      readonly project: ProjectResources
    }

export type Reply =
  | { readonly kind: 'checked'; readonly checked: PackedChecked }
  | { readonly kind: 'planned'; readonly plan: Plan }
  | { readonly kind: 'failed'; readonly failure: Failure }

type FieldOrigin = NonNullable<ReturnType<CheckedResource['origins']['get']>>
type Place = FieldOrigin['place']

/** The place of each line of a text, and whether the place moves with the column. */
type PackedText = readonly ({ readonly place: Place; readonly moves: boolean } | null)[]

export interface PackedChecked extends Omit<Checked, 'resources'> {
  readonly resources: readonly (Omit<CheckedResource, 'origins'> & {
    readonly origins: ReadonlyMap<string, Omit<FieldOrigin, 'text'> & { readonly text: PackedText | null }>
  })[]
}

/** The places of at most this many lines of a text are kept. A query or a template is far shorter. */
const MAX_LINES = 2_000

/** Puts the places of each text into a table of its lines, since a message carries no functions. */
export function packed(
  { problems, resources }: Checked,
  linesOf: (resource: number, field: string) => number,
): PackedChecked {
  return {
    problems,
    resources: resources.map(({ kind, name, spec, origins }, index) => ({
      ...{ kind, name, spec },
      origins: new Map(
        [...origins].map(([field, { key, place, text }]) => {
          const lines = Math.min(MAX_LINES, linesOf(index, field))
          return [field, { key, place, text: text === null ? null : packedText(text, lines) }]
        }),
      ),
    })),
  }
}

export function unpacked({ problems, resources }: PackedChecked): Checked {
  return {
    problems,
    resources: resources.map(({ origins, ...resource }) => ({
      ...resource,
      origins: new Map(
        [...origins].map(([field, { text, ...places }]) => [
          field,
          { ...places, text: text === null ? null : unpackedText(text) },
        ]),
      ),
    })),
  }
}

function packedText(text: NonNullable<FieldOrigin['text']>, lines: number): PackedText {
  return Array.from({ length: lines }, (_, index) => {
    const place = text(index + 1, 1)
    const next = text(index + 1, 2)
    return place === null ? null : { place, moves: next !== null && next.column > place.column }
  })
}

function unpackedText(lines: PackedText): NonNullable<FieldOrigin['text']> {
  return (line, column) => {
    const found = lines[Math.max(1, Math.min(line, lines.length)) - 1] ?? null
    if (found === null) return null
    const { place, moves } = found
    return moves ? { ...place, column: place.column + column - 1 } : place
  }
}

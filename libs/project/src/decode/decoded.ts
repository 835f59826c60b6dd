/** The input and the output of the decoder. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { ResourceSpec } from '@sluice/contracts/resources'
import type { ReferenceSources } from '../files/fill-references.ts'
import type { TextOrigin } from '../files/text-origin.ts'
import type { Place } from './places.ts'

/** The places of a field's name and value. `text` finds places inside the value, if the value is a text. */
export interface FieldOrigin {
  readonly key: Place
  readonly place: Place
  readonly text: TextOrigin | null
}

export interface DecodedResource {
  readonly kind: string
  /** Null if the document has no name, or one that cannot be read. */
  readonly name: string | null
  /** Null if the document has a mistake. */
  readonly spec: ResourceSpec | null
  /** The document's own texts by field, as far as they could be read. */
  readonly texts: ReadonlyMap<string, string>
  /** By field name, as messages write it. `''` is the document itself. */
  readonly origins: ReadonlyMap<string, FieldOrigin>
  readonly problems: readonly ErrorDetail[]
}

export interface DecodeOptions {
  readonly env: ReferenceSources['env']
  /** Reads a file named by `${file:PATH}`, relative to the document's folder. */
  readonly readFile: (folder: string, path: string) => ReturnType<ReferenceSources['readFile']>
  /** True if the texts come from a stored resource, in which only secrets are still references. */
  readonly isFilled?: boolean
  readonly defaults?: SyncDefaults | null
}

/** The defaults of a folder's syncs: values as written, and the places of fields. */
export interface SyncDefaults {
  readonly values: { readonly [field: string]: unknown }
  readonly origins: DecodedResource['origins']
}

/** A decoded document that is no resource. If there are no problems, its value matches the schema. */
export interface DecodedFields extends Pick<DecodedResource, 'origins' | 'problems'> {
  readonly value: unknown
  /** Names the document in messages. */
  readonly label: string
}

/**
 * Turns stored resources into the form in which people write them, and documents of people into resources.
 */
import { resourceView, type ResourceView } from '@sluice/contracts/api'
import type { ResourceRecord } from '@sluice/contracts/document-records'
import { isSluiceError } from '@sluice/contracts/errors'
import { KEPT_TEXT_CHARACTERS } from '@sluice/domain/record-sizes'
import { RESOURCE_SCHEMAS, type ResourceSpec } from '@sluice/contracts/resources'
import { parseResource } from '@sluice/resources/parse-documents'
import { versionOf } from '@sluice/resources/stored-resources'
import { z } from 'zod'
import { isoTime } from '@sluice/domain/iso-time'
import type { WrittenDocument } from '../port.ts'

const resourceFields = resourceView.pick({ kind: true, name: true }).catchall(z.json())

/** A stored resource; null for one that cannot be read. */
export function specOf({
  kind,
  name,
  spec,
}: Pick<ResourceRecord, 'kind' | 'name' | 'spec'>): ResourceSpec | null {
  try {
    const parsed = parseResource(spec)
    return parsed.kind === kind && parsed.name === name ? parsed : null
  } catch (error) {
    if (isSluiceError(error, 'corrupt')) return null
    throw error
  }
}

/** A resource among the stored ones; undefined if it is not there, or cannot be read. */
export function storedSpec(
  stored: ReadonlyMap<string, ResourceRecord>,
  { kind, name }: { readonly kind: string; readonly name: string },
): ResourceSpec | undefined {
  const record = stored.get(`${kind}/${name}`)
  return record === undefined ? undefined : (specOf(record) ?? undefined)
}

/** The fields of a resource as people write them: a duration is `30s`, for example. */
export function writtenFields(spec: ResourceSpec): { readonly [name: string]: unknown } {
  return viewOf(spec).spec
}

export function viewOf(spec: ResourceSpec): ResourceView {
  const schema: z.ZodType = RESOURCE_SCHEMAS[spec.kind]
  // JSON leaves out fields that are not set.
  const written: unknown = JSON.parse(JSON.stringify(z.encode(schema, spec)))
  const { kind, name, ...fields } = resourceFields.parse(written)
  return { kind, name, spec: fields }
}

/** A resource with what is known of its present version. */
export function storedView(record: ResourceRecord, spec: ResourceSpec): ResourceView {
  const { project, at, by } = record
  return {
    ...{ ...viewOf(spec), ...textView(record), project },
    ...{ version: versionOf(record), changedAt: isoTime(at), changedBy: by },
  }
}

/**
 * The author's text. A text that is too long is not shown: another program may have written it to the topic.
 */
export function textView({ text }: ResourceRecord): Pick<ResourceView, 'text'> {
  return text === null || text.length > KEPT_TEXT_CHARACTERS ? {} : { text }
}

/**
 * A document as the API takes it: YAML, or the fields of a resource, in `spec` or beside the kind and the
 * name.
 */
export function writtenDocument(document: string | { readonly [name: string]: unknown }): WrittenDocument {
  if (typeof document === 'string') return { yaml: document }
  const { yaml, spec, file, version: _version, takeOver: _takeOver, ...fields } = document
  const from = typeof file === 'string' ? { file } : {}
  if (typeof yaml === 'string') return { yaml, ...from }
  if (!isFields(spec)) return { fields, ...from }
  const { kind, name } = fields
  return {
    fields: { ...(kind === undefined ? {} : { kind }), ...(name === undefined ? {} : { name }), ...spec },
    ...from,
  }
}

/** True for a map, and not for a list. */
export function isFields(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

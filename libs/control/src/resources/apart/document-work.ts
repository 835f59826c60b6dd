/** The work on documents that people send, whose size and shape they choose. */
import type { ResourceRecord } from '@sluice/contracts/document-records'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isResourceKind, type ResourceSpec } from '@sluice/contracts/resources'
import { checkDocuments } from '@sluice/project/check-documents'
import type { ProjectResources, WrittenDocument } from '../../port.ts'
import type { Origins } from '../placed-error.ts'
import { planApply, type Plan, type Stored } from '../resource-plan.ts'
import { specOf } from '../written-resource.ts'

export interface CheckedResource {
  readonly kind: string
  readonly name: string | null
  /** Null if anything is wrong. */
  readonly spec: ResourceSpec | null
  readonly origins: Origins
}

export interface Checked {
  readonly resources: readonly CheckedResource[]
  readonly problems: readonly ErrorDetail[]
}

/** The signal ends the work with its reason. */
export interface DocumentWork {
  /** Checks documents together with what is stored. `dir` is the folder that paths of sources start from. */
  check(
    documents: readonly WrittenDocument[],
    place: { readonly stored: Stored; readonly dir: string | null; readonly signal: AbortSignal },
  ): Promise<Checked>
  /** Throws as `planApply` does. */
  plan(stored: Stored, project: ProjectResources, signal: AbortSignal): Promise<Plan>
}

/** Does the work in this thread, which does nothing else meanwhile. */
export const documentsHere: DocumentWork = {
  check: (documents, { stored, dir, signal }) =>
    checkDocuments(documents, { stored: specsOf(stored.values()), dir, signal }),
  plan: (stored, project) => Promise.resolve(planApply(stored, project)),
}

/** The resources among these that can be read. */
export function specsOf(stored: Iterable<ResourceRecord>): ResourceSpec[] {
  return [...stored].flatMap(record => {
    const spec = isResourceKind(record.kind) ? specOf(record) : null
    return spec === null ? [] : [spec]
  })
}

/** Finds the resources that cannot be used, because of a mistake in them or in what they refer to. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { ResourceKind } from '@sluice/contracts/resources'
import { isDoubtful, REFERENCES } from './checks/check-references.ts'
import type { DecodedResource } from './decode/decoded.ts'
import { inFileOrder } from './decode/places.ts'
import { type ResourceKey, resourceKey } from './project.ts'

/** The mistakes of a folder. */
export interface Mistakes {
  /** Mistakes that are in no resource, such as broken YAML. Any resource of such a file may be wrong. */
  readonly ofFiles: readonly ErrorDetail[]
  readonly ofResources: ReadonlyMap<DecodedResource, readonly ErrorDetail[]>
}

const KINDS: readonly ResourceKind[] = ['source', 'destination', 'model', 'sync', 'alert']

/**
 * The resources that cannot be used, each with the mistakes that are the reason, in the order of files.
 * `ofProject` are mistakes that hide the defaults of all syncs, so that no sync can be used.
 */
export function blockedResources(
  decoded: readonly DecodedResource[],
  { ofFiles, ofResources, ofProject }: Mistakes & { readonly ofProject: readonly ErrorDetail[] },
): ReadonlyMap<ResourceKey, readonly ErrorDetail[]> {
  const blocked = new Map<ResourceKey, Set<ErrorDetail>>()
  const known = new Set(decoded.map(({ kind, name }) => `${kind}/${name ?? ''}`))
  const hiding = hidingMistakes(decoded, { ofFiles, ofResources })
  // `KINDS` has each kind after the kinds that it refers to.
  for (const kind of KINDS)
    for (const resource of decoded) {
      if (resource.kind !== kind || resource.name === null) continue
      const file = resource.origins.get('')?.place.file
      const reasons = [...(ofResources.get(resource) ?? []), ...ofFiles.filter(one => one.file === file)]
      if (kind === 'sync') reasons.push(...ofProject)
      for (const field of REFERENCES.get(kind) ?? []) {
        const other = resourceKey(field, resource.texts.get(field) ?? '')
        reasons.push(...(blocked.get(other) ?? []))
        // The other resource may be in a text that could not be read.
        if (!known.has(other)) reasons.push(...hiding)
      }
      const key = resourceKey(kind, resource.name)
      if (reasons.length > 0) blocked.set(key, new Set([...(blocked.get(key) ?? []), ...reasons]))
    }
  return new Map([...blocked].map(([key, reasons]) => [key, inFileOrder([...reasons])]))
}

/** The mistakes that hide which resources there are: in files, kinds and names. */
export function hidingMistakes(
  decoded: readonly DecodedResource[],
  { ofFiles, ofResources }: Mistakes,
): readonly ErrorDetail[] {
  return [...ofFiles, ...decoded.filter(isDoubtful).flatMap(one => ofResources.get(one) ?? [])]
}

/** The resource in which a mistake lies, or undefined. Mistakes have their place in a file. */
export function resourceAround(
  decoded: readonly DecodedResource[],
  { file, line = 1 }: ErrorDetail,
): DecodedResource | undefined {
  return decoded.findLast(({ origins }) => {
    const start = origins.get('')?.place
    return start !== undefined && start.file === file && start.line <= line
  })
}

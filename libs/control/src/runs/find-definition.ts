/** The definition of a run that somebody looks at. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { Definition } from '@sluice/contracts/resources'
import type { Pipeline } from '../pipeline.ts'

/**
 * The definition with this hash, or why there is none to be had: it was written before the signing key was
 * set, for example, or a stranger wrote the event that names it. One such run hides no other from those who
 * look.
 */
export async function findDefinition(
  { definitions }: Pick<Pipeline, 'definitions'>,
  hash: string | null,
  signal: AbortSignal,
): Promise<{ readonly definition: Definition | null; readonly why: string | null }> {
  if (hash === null) return { definition: null, why: null }
  try {
    return { definition: await definitions.get(hash, { signal }), why: null }
  } catch (error) {
    if (!isSluiceError(error, 'not-found') && !isSluiceError(error, 'corrupt')) throw error
    return { definition: null, why: `what the run was asked to do is not known: ${error.message}` }
  }
}

/** Previews documents that are not stored. Errors have their places in these documents. */
import { SluiceError } from '@sluice/contracts/errors'
import type { RowsView } from '@sluice/contracts/api/resources'
import type { Definition, ResourceSpec, SourceSpec } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'
import { lookUpDefinition, triggeredOps } from '@sluice/domain/definition'
import { assertRight } from '@sluice/project/check-documents'
import type { Vault } from '@sluice/secrets/vault/vault'
import { shownOf, type NextRun } from '../runs/next-run.ts'
import type { DocumentWork } from './apart/document-work.ts'
import { placedError, type Origins } from './placed-error.ts'
import type { Preview, RowsQuery, SampleQuery } from '../port.ts'
import type { Stored } from './resource-plan.ts'
import { storedSpec } from './written-resource.ts'

/** Reads rows for people who edit resources. */
export interface Samples {
  /** The folder that relative paths of sources start from. Null if paths have to be absolute. */
  readonly dir: string | null
  /** Opens a run whose changes are the first rows of the model. */
  readonly openSample: (definition: Definition, sample: SampleSize, as: SampledAs) => Promise<NextRun>
  readonly readRows: (
    source: SourceSpec,
    query: Pick<RowsQuery, 'from' | 'limit'>,
    as: SampledAs,
  ) => Promise<RowsView>
}

/** Reads use the secrets of the vault, beside the secrets of the environment. */
export interface SampledAs {
  readonly vault: Vault | null
  readonly signal: AbortSignal
}

export interface SampleDeps {
  /** Null in a process that reads no sources for others. */
  readonly samples: Samples | null
  readonly documents: DocumentWork
  readonly openNextRun: (definition: Definition, signal: AbortSignal) => Promise<NextRun>
}

export interface SampleSize {
  readonly rows: number
  readonly op: Op | undefined
}

const SAMPLED_ROWS = 3
const MAX_SAMPLED = 100

interface Drafted {
  readonly definition: Definition
  /** Gives an error its place in the documents. */
  readonly placed: (error: unknown) => unknown
}

/** The definition of a sync as documents have it, together with the stored resources that it uses. */
export async function definitionIn(
  { documents, sync }: Pick<SampleQuery, 'documents' | 'sync'>,
  stored: Stored,
  deps: Pick<SampleDeps, 'documents' | 'samples'> & { readonly signal: AbortSignal },
): Promise<Drafted> {
  const { signal } = deps
  const checked = await deps.documents.check(documents, { signal, stored, dir: deps.samples?.dir ?? null })
  assertRight(checked, `What the sync \`${sync}\` uses`)
  const find = (kind: string, name: string): ResourceSpec | undefined => {
    const isIt = (spec: ResourceSpec | null): boolean => spec?.kind === kind && spec.name === name
    return checked.resources.find(({ spec }) => isIt(spec))?.spec ?? storedSpec(stored, { kind, name })
  }
  const found = lookUpDefinition(find, sync)
  if (found.kind === 'missing')
    throw new SluiceError('not-found', `There is no ${found.resource} \`${found.name}\`.`)
  const { definition } = found
  const ofKind = (kind: string, name: string): Origins | undefined =>
    checked.resources.find(each => each.kind === kind && each.name === name)?.origins
  return { definition, placed: error => placedError(error, definition, ofKind) }
}

export async function previewOf(
  { documents, sample, sync, ...narrowing }: SampleQuery,
  stored: Stored,
  deps: SampleDeps & SampledAs,
): Promise<Preview> {
  const { signal, openNextRun, vault } = deps
  const { definition, placed } = await definitionIn({ documents, sync }, stored, deps)
  const { op, rows } = narrowing
  assertTrigger(definition, op)
  try {
    if (!sample) {
      const next = await openNextRun(definition, signal)
      return { ...next, requests: shownOf(next.requests(narrowing)) }
    }
    const size = { rows: Math.min(rows ?? SAMPLED_ROWS, MAX_SAMPLED), op }
    const next = await samplesIn(deps).openSample(definition, size, { signal, vault })
    return { ...next, requests: shownOf(next.requests(narrowing)) }
  } catch (error) {
    throw placed(error)
  }
}

/** Throws `usage` in a process that reads no sources for others. */
export function samplesIn({ samples }: Pick<SampleDeps, 'samples'>): Samples {
  if (samples !== null) return samples
  throw new SluiceError('usage', 'This process reads no rows for others: ask a server (`sluice up`).')
}

/** Throws `usage` for a trigger that the sync does not have. */
export function assertTrigger({ sync }: Definition, op: Op | undefined): void {
  const triggers = triggeredOps(sync)
  if (op === undefined || triggers.has(op)) return
  const has = OPS.filter(each => triggers.has(each)).join(', ')
  throw new SluiceError('usage', `The sync \`${sync.name}\` has no trigger \`${op}\`; it has ${has}.`)
}

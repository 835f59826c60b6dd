/** The documents of a sync that two runs used, as lines that differ. */
import type { ResourceView, RunView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { textOf } from '../editor/draft.ts'
import { LinesThatDiffer } from '../editor/lines-that-differ.tsx'
import { Loading, Section, Trouble } from '../ui/parts.tsx'
import type { Two } from './compare-runs.ts'

type Kind = Exclude<ResourceView['kind'], 'alert'>

interface UsedDocument {
  readonly name: string
  /** Null for a document that is not kept. */
  readonly version: number | null
  readonly text: string
  readonly spec: ResourceView['spec']
}

const KINDS = ['sync', 'model', 'destination', 'source'] as const satisfies readonly Kind[]

export function DocumentsOfRuns({ runs }: { readonly runs: Two<RunView> }): ReactElement {
  const { before, after } = runs
  const { data, error, isPending } = useQuery({
    queryKey: ['documents-of-runs', before.id, after.id],
    queryFn: async ({ signal }) => ({
      before: await documentsOf(before, signal),
      after: await documentsOf(after, signal),
    }),
    retry: false,
  })
  return (
    <Section title="Documents">
      {isPending ? (
        <Loading />
      ) : data === undefined ? (
        <Trouble error={error} />
      ) : (
        <Differences documents={data} />
      )}
    </Section>
  )
}

type Documents = ReadonlyMap<Kind, UsedDocument>

function Differences({ documents: { before, after } }: { readonly documents: Two<Documents> }): ReactElement {
  if (before.size === 0 && after.size === 0)
    return <p className="pad quiet">No version is kept: the documents stand in files.</p>
  const differing = KINDS.filter(kind => before.get(kind)?.text !== after.get(kind)?.text)
  if (differing.length === 0)
    return <p className="pad quiet">Both runs used the same sync, model, source and destination.</p>
  return (
    <ul className="groups">
      {differing.map(kind => (
        <li key={kind}>
          <strong>
            {kind} {after.get(kind)?.name ?? before.get(kind)?.name}
          </strong>
          <p className="quiet">
            {versionOf(before.get(kind))} → {versionOf(after.get(kind))}
          </p>
          <LinesThatDiffer
            before={before.get(kind)?.text ?? ''}
            after={after.get(kind)?.text ?? ''}
            label={`Lines of the ${kind} that differ`}
          />
        </li>
      ))}
    </ul>
  )
}

const versionOf = (document: UsedDocument | undefined): string =>
  document?.version === undefined || document.version === null ? 'not kept' : `version ${document.version}`

/** Returns the documents as they were when the run began. A definition is pinned then. */
async function documentsOf({ sync, startedAt }: RunView, signal: AbortSignal): Promise<Documents> {
  const at = startedAt === null ? Infinity : Date.parse(startedAt)
  const found = new Map<Kind, UsedDocument>()
  const take = async (kind: Kind, name: unknown): Promise<UsedDocument | undefined> => {
    if (typeof name !== 'string') return undefined
    const document = await documentAt({ kind, name, at }, signal)
    if (document !== undefined) found.set(kind, document)
    return document
  }
  const used = await take('sync', sync)
  const [model] = await Promise.all([
    take('model', used?.spec['model']),
    take('destination', used?.spec['destination']),
  ])
  await take('source', model?.spec['source'])
  return found
}

async function documentAt(
  { kind, name, at }: { readonly kind: Kind; readonly name: string; readonly at: number },
  signal: AbortSignal,
): Promise<UsedDocument | undefined> {
  const { versions } = await call('getResourceHistory', { kind, name }, { signal }).catch(
    (error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return { versions: [] }
      throw error
    },
  )
  // An earlier version of Sluice recorded no time. Such a version is older than all others.
  const used = versions.find(version => version.at === null || Date.parse(version.at) <= at)
  const spec = used?.spec ?? null
  if (used === undefined || spec === null) return undefined
  return { name, version: used.version, text: textOf({ ...used, kind, name, spec }), spec }
}

/** The page that edits an existing sync, with its source, model and destination. */
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { resourceQuery, resourcesQuery } from '../api/queries.ts'
import { STARTING_DRAFT, textOf, type Draft, type Kind } from '../editor/draft.ts'
import { EditorPage } from '../editor/editor-page.tsx'
import type { Stored, StoredResource } from '../editor/reused.ts'
import { titleIn } from '../ui/named.tsx'
import { Loading, Page, Trouble } from '../ui/parts.tsx'

export function EditSyncPage(): ReactElement {
  const { name } = useParams({ from: '/syncs/$name/edit' })
  const { stored, error } = useStored(name)
  if (stored === null)
    return (
      <Page title={`Edit ${name}`}>{error === null ? <Loading lines={8} /> : <Trouble error={error} />}</Page>
    )
  return <Editor key={name} name={name} stored={stored} />
}

/**
 * The sync and the resources that it names, each with the version that an edit starts from. They stay if a
 * later request fails, since the editor holds typed text. One answer has them all, and a server with very
 * many resources is asked for each of those that it leaves out.
 */
function useStored(name: string): { readonly stored: Stored | null; readonly error: unknown } {
  const sync = useStoredOne('sync', name)
  const model = useStoredOne('model', nameOf(sync.data?.spec['model']))
  const destination = useStoredOne('destination', nameOf(sync.data?.spec['destination']))
  const source = useStoredOne('source', nameOf(model.data?.spec['source']))
  const all = [sync, model, destination, source]
  const error = all.find(each => each.error !== null)?.error ?? null
  const found = all.flatMap(({ data }) => (data === undefined ? [] : [data]))
  if (found.length < all.length) return { stored: null, error }
  return { stored: Object.fromEntries(found.map(one => [one.kind, one])), error: null }
}

interface FoundOne {
  readonly data: StoredResource | undefined
  readonly error: unknown
}

function useStoredOne(kind: Kind, name: string | undefined): FoundOne {
  const all = useQuery(resourcesQuery)
  const listed = all.data?.resources.find(each => each.kind === kind && each.name === name)
  const isLeftOut = name !== undefined && listed === undefined && !all.isPending
  const one = useQuery({ ...resourceQuery(kind, name ?? ''), enabled: isLeftOut })
  const resource = listed ?? one.data
  if (resource === undefined) return { data: undefined, error: one.error }
  const { version, project = '' } = resource
  return { data: { ...resource, kind, version, project }, error: null }
}

const nameOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** The edit keeps the resources that it started from, even if others save meanwhile. */
function Editor({ name, stored }: { readonly name: string; readonly stored: Stored }): ReactElement {
  const { step = 'requests' } = useSearch({ from: '/syncs/$name/edit' })
  const navigate = useNavigate()
  const [start] = useState(stored)
  const [draft] = useState(() => draftOf(stored))
  return (
    <EditorPage
      title={`Edit ${(start.sync && titleIn(start.sync.spec)) ?? name}`}
      place={`sync.${name}`}
      start={draft}
      stored={start}
      step={step}
      onStep={next => void navigate({ to: '/syncs/$name/edit', params: { name }, search: { step: next } })}
    />
  )
}

function draftOf(stored: Stored): Draft {
  const of = (kind: Kind): string => {
    const known = stored[kind]
    return known === undefined ? STARTING_DRAFT[kind] : textOf(known)
  }
  return { source: of('source'), model: of('model'), destination: of('destination'), sync: of('sync') }
}

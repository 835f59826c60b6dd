/** Editing a sync that is there, with the resources that it stands on. */
import type { ResourceView } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { resourcesQuery } from '../api/queries.ts'
import { KINDS, STARTING_DRAFT, yamlOf, type Draft, type Kind } from '../editor/draft.ts'
import { EditorPage } from '../editor/editor-page.tsx'
import type { Stored, StoredResource } from '../editor/review-step.tsx'
import { Loading, Page, Trouble } from '../ui/parts.tsx'

export function EditSyncPage(): ReactElement {
  const { name } = useParams({ from: '/syncs/$name/edit' })
  const { data, error, isPending } = useQuery(resourcesQuery)
  if (isPending)
    return (
      <Page title={`Edit ${name}`}>
        <Loading lines={8} />
      </Page>
    )
  if (data === undefined)
    return (
      <Page title={`Edit ${name}`}>
        <Trouble error={error} />
      </Page>
    )
  const stored = resourcesOf(name, data.resources)
  if (stored.sync === undefined)
    return (
      <Page title={`Edit ${name}`}>
        <Trouble error={new Error(`There is no sync \`${name}\`.`)} />
      </Page>
    )
  return <Editor key={name} name={name} stored={stored} />
}

/** The edit starts from what was there when the page was opened, whatever others save meanwhile. */
function Editor({ name, stored }: { readonly name: string; readonly stored: Stored }): ReactElement {
  const { step = 'requests' } = useSearch({ from: '/syncs/$name/edit' })
  const navigate = useNavigate()
  const [start] = useState(stored)
  return (
    <EditorPage
      title={`Edit ${name}`}
      place={`sync.${name}`}
      start={draftOf(start)}
      stored={start}
      step={step}
      onStep={next => void navigate({ to: '/syncs/$name/edit', params: { name }, search: { step: next } })}
    />
  )
}

function draftOf(stored: Stored): Draft {
  const textOf = (kind: Kind): string => {
    const of = stored[kind]
    return of === undefined ? STARTING_DRAFT[kind] : yamlOf(kind, of.name, of.spec)
  }
  return {
    source: textOf('source'),
    model: textOf('model'),
    destination: textOf('destination'),
    sync: textOf('sync'),
  }
}

/** A sync and the resources that it names. */
export function resourcesOf(name: string, resources: readonly ResourceView[]): Stored {
  const find = (kind: Kind, named: unknown): StoredResource | undefined => {
    const found = resources.find(resource => resource.kind === kind && resource.name === named)
    return found === undefined
      ? undefined
      : {
          kind,
          name: found.name,
          spec: found.spec,
          version: found.version ?? 0,
          project: found.project ?? '',
        }
  }
  const sync = find('sync', name)
  const model = find('model', sync?.spec['model'])
  const found = {
    sync,
    model,
    destination: find('destination', sync?.spec['destination']),
    source: find('source', model?.spec['source']),
  }
  return Object.fromEntries(KINDS.flatMap(kind => (found[kind] === undefined ? [] : [[kind, found[kind]]])))
}

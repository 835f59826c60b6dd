/** The name of a sync, with its title, on pages that know the name alone. */
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { syncsQuery } from '../api/queries.ts'
import { Named } from '../ui/named.tsx'

/** The title of a sync. Undefined without one, and until it is known. */
export function useSyncTitle(name: string | undefined): string | undefined {
  const { data } = useQuery({
    ...syncsQuery,
    select: ({ syncs }) => syncs.find(sync => sync.name === name)?.title,
  })
  return data
}

export function SyncName({ name }: { readonly name: string }): ReactElement {
  return <Named name={name} title={useSyncTitle(name)} />
}

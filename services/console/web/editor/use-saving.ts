/** Saves the resources of a draft, and begins a run if the user wants one. */
import { messageOf } from '@sluice/contracts/errors'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { call } from '../api/client.ts'
import { ask } from '../api/commands.ts'
import { toast } from '../ui/toast.tsx'
import { presentVersion, type Conflict } from './conflict-dialog.tsx'
import { KINDS, nameIn, OF_DRAFT, textOf, type Draft, type Kind } from './draft.ts'
import type { Stored, StoredResource } from './reused.ts'

export function changedKinds(draft: Draft, stored: Stored): readonly Kind[] {
  return KINDS.filter(kind => {
    if (draft[kind] === '') return false
    const present = sameIn(stored, kind, draft)
    return present === undefined || textOf(present) !== draft[kind]
  })
}

/** The stored resource with the draft's name. A draft with another name makes another resource. */
export function sameIn(stored: Stored, kind: Kind, draft: Draft): StoredResource | undefined {
  const resource = stored[kind]
  return resource?.name === nameIn(draft[kind]) ? resource : undefined
}

export interface SavingOptions {
  readonly draft: Draft
  readonly stored: Stored
  readonly takeOver: readonly Kind[]
  readonly onSaved: () => void
}

export interface Saving {
  readonly save: (andRun: boolean) => Promise<void>
  readonly isBusy: boolean
  readonly error: unknown
  readonly conflict: Conflict | null
  readonly overwrite: () => void
  readonly dismiss: () => void
}

/** Saves each resource after those that it refers to. If one fails, the earlier ones stay saved. */
export function useSaving({ draft, stored, takeOver, onSaved }: SavingOptions): Saving {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [conflict, setConflict] = useState<(Conflict & { readonly andRun: boolean }) | null>(null)
  // Versions that an attempt saved before it failed are no conflict for the next attempt.
  const saved = useRef(new Map<string, number>())
  const save = async (andRun: boolean, versions: { readonly [kind: string]: number } = {}): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      for (const kind of changedKinds(draft, stored)) {
        const present = sameIn(stored, kind, draft)
        const place = `${kind}/${nameIn(draft[kind])}`
        // Version 0 says that a new resource may not replace any.
        const known = saved.current.get(place) ?? (present === undefined ? 0 : present.version)
        const terms = { version: versions[kind] ?? known, takeOver: takeOver.includes(kind) }
        const version = await put(kind, draft, terms).catch((failure: unknown) => {
          const present = presentVersion(failure)
          if (present !== undefined)
            setConflict({ kind, name: nameIn(draft[kind]), mine: draft[kind], present, andRun })
          throw failure
        })
        if (version !== undefined) saved.current.set(place, version)
      }
      onSaved()
      await client.invalidateQueries({ predicate: ({ meta }) => meta !== OF_DRAFT })
      const name = nameIn(draft.sync)
      const run = andRun ? await begunRun(name) : null
      if (!andRun || run !== null) toast('done', `${name} is saved.`)
      if (run === null) await navigate({ to: '/syncs/$name', params: { name } })
      else await navigate({ to: '/runs/$id', params: { id: run } })
    } catch (failure) {
      setError(failure)
    } finally {
      setBusy(false)
    }
  }
  const overwrite = (): void => {
    if (conflict === null) return
    setConflict(null)
    void save(conflict.andRun, { [conflict.kind]: conflict.present })
  }
  return { save, isBusy, error, conflict, overwrite, dismiss: () => setConflict(null) }
}

/**
 * Starts a run of a saved sync and returns its id. Null if none begins: then a message says why, and the user
 * can try again from the page of the sync.
 */
async function begunRun(sync: string): Promise<string | null> {
  try {
    return (await ask('run', { name: sync })).id
  } catch (error) {
    const why = messageOf(error)
    toast('failed', `${sync} is saved, and no run of it has begun: ${why}`)
    return null
  }
}

interface PutTerms {
  readonly version: number | undefined
  readonly takeOver: boolean
}

async function put(kind: Kind, draft: Draft, { version, takeOver }: PutTerms): Promise<number | undefined> {
  const document = { yaml: draft[kind], version, ...(takeOver ? { takeOver } : {}) }
  const answer = await call('putResource', { kind, name: nameIn(draft[kind]), document })
  return answer.version
}

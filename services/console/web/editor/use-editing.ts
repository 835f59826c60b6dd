/**
 * The state of an editor: the draft, what the server says of it, and what is kept in the browser meanwhile.
 */
import type { Problem } from '@sluice/contracts/api'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { fileOf, KINDS, withText, type Draft, type Kind } from './draft.ts'

type Detail = Problem['errors'][number]

/** One text of a draft, as its form sees it. */
export interface Editing {
  readonly kind: Kind
  readonly text: string
  readonly change: (text: string) => void
  /** What is wrong in this text. */
  readonly problems: readonly Detail[]
  readonly readOnly: boolean
}

export interface DraftState {
  readonly draft: Draft
  readonly versions: Versions
  /** Texts that name the resource follow a change of its name, but for the `fixed` ones. */
  readonly setText: (kind: Kind, text: string, fixed: readonly Kind[]) => void
  readonly setDraft: (draft: Draft) => void
  /** Forgets what the browser keeps. */
  readonly forget: () => void
  /** True if the draft was found in the browser, from an editor that was left. */
  readonly wasKept: boolean
}

/** Of each text the version of the resource that the edit started from; absent for what is new. */
export type Versions = { readonly [kind in Kind]?: number | undefined }

/** What an editor starts from. */
export interface Start {
  readonly draft: Draft
  readonly versions: Versions
}

/** What the browser keeps: a draft, and what it started from, which earlier versions have not kept. */
export interface Kept {
  readonly draft: Draft
  readonly from: Start | null
}

/**
 * A kept draft on what is there now. A text that nobody has changed here follows what others have made of it;
 * one that was changed keeps the version that it started from, so that both are shown before it is saved.
 */
export function restored({ draft, from }: Kept, start: Start): Start {
  if (from === null) return { draft, versions: start.versions }
  const own = KINDS.filter(kind => draft[kind] !== from.draft[kind])
  const texts = { ...start.draft }
  const versions: { [kind in Kind]?: number | undefined } = { ...start.versions }
  for (const kind of own) {
    texts[kind] = draft[kind]
    versions[kind] = from.versions[kind] ?? start.versions[kind]
  }
  return { draft: texts, versions }
}

/** Null for anything that is no kept draft. */
export function parseKept(text: string | null): Kept | null {
  let kept: unknown
  try {
    kept = JSON.parse(text ?? 'null')
  } catch {
    return null
  }
  const draft = draftIn(kept)
  if (draft === null) return null
  const from = fieldOf(kept, 'from')
  const start = draftIn(from)
  return {
    draft,
    from: start === null ? null : { draft: start, versions: versionsIn(fieldOf(from, 'versions')) },
  }
}

/** The same back. */
export function writtenDraft({ draft, from }: Kept): string {
  return JSON.stringify({
    ...draft,
    ...(from === null ? {} : { from: { ...from.draft, versions: from.versions } }),
  })
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.entries(value).find(([field]) => field === name)?.[1]
}

function draftIn(value: unknown): Draft | null {
  const [source, model, destination, sync] = KINDS.map(kind => fieldOf(value, kind))
  if (typeof source !== 'string' || typeof model !== 'string') return null
  if (typeof destination !== 'string' || typeof sync !== 'string') return null
  return { source, model, destination, sync }
}

function versionsIn(value: unknown): Versions {
  const known = KINDS.map(kind => [kind, fieldOf(value, kind)] as const)
  return Object.fromEntries(known.filter(([, version]) => typeof version === 'number'))
}

function keptAt(place: string): Kept | null {
  try {
    return parseKept(localStorage.getItem(place))
  } catch {
    return null
  }
}

/**
 * A draft that survives the end of the session, of the page and of the browser: whatever differs from `start`
 * is kept in the browser's storage until it is saved or thrown away.
 */
export function useDraft(name: string, startDraft: Draft, startVersions: Versions = {}): DraftState {
  const place = `sluice.draft.${name}`
  const [start] = useState<Start>({ draft: startDraft, versions: startVersions })
  const [begun] = useState(() => {
    const kept = keptAt(place)
    return kept === null ? null : restored(kept, start)
  })
  const [draft, setDraft] = useState(begun?.draft ?? start.draft)
  const [versions, setVersions] = useState(begun?.versions ?? start.versions)
  const startText = JSON.stringify(start.draft)
  useEffect(() => {
    try {
      const from = { draft: start.draft, versions }
      if (JSON.stringify(draft) === startText) localStorage.removeItem(place)
      else localStorage.setItem(place, writtenDraft({ draft, from }))
    } catch {
      // Without storage, what is typed lives as long as the page.
    }
  }, [draft, place, start, startText, versions])
  const setText = useCallback(
    (kind: Kind, text: string, fixed: readonly Kind[]) =>
      setDraft(known => withText(known, kind, text, fixed)),
    [],
  )
  const forget = useCallback(() => {
    localStorage.removeItem(place)
    setVersions(start.versions)
  }, [place, start])
  const wasKept = begun !== null && JSON.stringify(begun.draft) !== startText
  return { draft, versions, setDraft, setText, forget, wasKept }
}

export interface EditingOptions {
  readonly problems: readonly Detail[]
  readonly readOnly: readonly Kind[]
}

/** The four texts of a draft, each with its own problems. */
export function useEditings(
  state: DraftState,
  { problems, readOnly }: EditingOptions,
): { readonly [kind in Kind]: Editing } {
  const { draft, setText } = state
  return useMemo(() => {
    const of = (kind: Kind): Editing => ({
      ...{ kind, text: draft[kind], change: text => setText(kind, text, readOnly) },
      problems: problems.filter(({ file }) => file === fileOf(kind)),
      readOnly: readOnly.includes(kind),
    })
    return { source: of('source'), model: of('model'), destination: of('destination'), sync: of('sync') }
  }, [draft, problems, readOnly, setText])
}

/** A value that follows another once that has rested for a while. */
export function useRested<T>(value: T, ms: number): T {
  const [rested, setRested] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms)
    return () => clearTimeout(timer)
  }, [ms, value])
  return rested
}

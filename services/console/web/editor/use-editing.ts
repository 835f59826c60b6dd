/**
 * The state of an editor: the draft, what the server says of it, and what is kept in the browser meanwhile.
 */
import type { Problem } from '@sluice/contracts/api'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { fileOf, KINDS, STARTING_DRAFT, withText, type Draft, type Kind } from './draft.ts'

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
  /** Texts that name the resource follow a change of its name, but for the `fixed` ones. */
  readonly setText: (kind: Kind, text: string, fixed: readonly Kind[]) => void
  readonly setDraft: (draft: Draft) => void
  /** Forgets what the browser keeps. */
  readonly forget: () => void
  /** True if the draft was found in the browser, from an editor that was left. */
  readonly wasKept: boolean
}

function keptDraft(place: string): Draft | null {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(place) ?? 'null')
    if (typeof kept !== 'object' || kept === null) return null
    const texts = new Map(Object.entries(kept))
    if (!KINDS.every(kind => typeof texts.get(kind) === 'string')) return null
    const textOf = (kind: Kind): string => String(texts.get(kind))
    return {
      source: textOf('source'),
      model: textOf('model'),
      destination: textOf('destination'),
      sync: textOf('sync'),
    }
  } catch {
    return null
  }
}

/**
 * A draft that survives the end of the session, of the page and of the browser: whatever differs from `start`
 * is kept in the browser's storage until it is saved or thrown away.
 */
export function useDraft(name: string, start: Draft = STARTING_DRAFT): DraftState {
  const place = `sluice.draft.${name}`
  const [kept] = useState(() => keptDraft(place))
  const [draft, setDraft] = useState(kept ?? start)
  const startText = JSON.stringify(start)
  useEffect(() => {
    try {
      const text = JSON.stringify(draft)
      if (text === startText) localStorage.removeItem(place)
      else localStorage.setItem(place, text)
    } catch {
      // Without storage, what is typed lives as long as the page.
    }
  }, [draft, place, startText])
  const setText = useCallback(
    (kind: Kind, text: string, fixed: readonly Kind[]) =>
      setDraft(known => withText(known, kind, text, fixed)),
    [],
  )
  const forget = useCallback(() => localStorage.removeItem(place), [place])
  return { draft, setDraft, setText, forget, wasKept: kept !== null && JSON.stringify(kept) !== startText }
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

/**
 * The state of an editor: the draft, its problems, and the copy that the browser keeps until it is saved.
 */
import type { Problem } from '@sluice/contracts/api'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { storedText, storeText } from '../ui/storage.ts'
import { fileOf, KINDS, nameIn, withText, type Draft, type Kind } from './draft.ts'

type Detail = Problem['errors'][number]

/** One text of a draft, as its form sees it. */
export interface Editing {
  readonly kind: Kind | 'alert'
  readonly text: string
  readonly change: (text: string) => void
  /** The problems of this text. */
  readonly problems: readonly Detail[]
  readonly readOnly: boolean
  /** True if the server has no such resource yet, so that its name may still change. */
  readonly isNew?: boolean
}

/**
 * Returns a function for a change that comes after a wait, such as for the vault. It changes the text that is
 * there by then, since the user may have typed on, and returns the result. The form shows the result at once,
 * since the next letter in any field replaces the text that the form shows.
 */
export function useLateChange(editing: Editing): (changed: (text: string) => string) => string {
  const latest = useRef(editing)
  latest.current = editing
  return changed => {
    const text = changed(latest.current.text)
    flushSync(() => latest.current.change(text))
    return text
  }
}

export interface DraftState {
  readonly draft: Draft
  readonly pins: Pins
  /**
   * Sets one text. If this renames the resource, the other texts take over the new name, except the `fixed`
   * ones.
   */
  readonly setText: (kind: Kind, text: string, fixed: readonly Kind[]) => void
  /** The replaced texts count as edits of the current versions, whatever they were based on before. */
  readonly replaceWith: (draft: Draft) => void
  /** Removes the copy that the browser keeps. */
  readonly forget: () => void
  /** The shared resources that the user has said to change for all syncs, such as `destination/api`. */
  readonly allowed: readonly string[]
  readonly allow: (resource: string) => void
  /** True if the draft comes from the browser: an earlier editor was closed without saving. */
  readonly wasKept: boolean
}

/** For each text, the version of the resource that the edit started from. 0 or absent for a new resource. */
export type Versions = { readonly [kind in Kind]?: number | undefined }

/** The versions that a kept draft started from. Each is valid only for the resource with this name. */
export type Pins = { readonly [kind in Kind]?: { readonly name: string; readonly version: number } }

/** The draft and the versions that an editor starts from. */
export interface Start {
  readonly draft: Draft
  readonly versions: Versions
}

/**
 * The browser's copy: a draft, and what it started from. Copies of earlier versions of Sluice have only the
 * draft.
 */
export interface Kept {
  readonly draft: Draft
  readonly from: Start | null
  /** The shared resources that the user has said to change for all syncs. */
  readonly allowed: readonly string[]
}

/**
 * Brings a kept draft up to date. A text that was not edited here takes the current text of the server. An
 * edited or new text keeps the version that it started from, so that saving it shows a conflict if others
 * have saved meanwhile.
 */
export function restored({ draft, from }: Pick<Kept, 'draft' | 'from'>, start: Start): Start {
  if (from === null) return { draft, versions: start.versions }
  const own = KINDS.filter(kind => draft[kind] !== from.draft[kind] || from.versions[kind] === 0)
  const texts = { ...start.draft }
  const versions: { [kind in Kind]?: number | undefined } = { ...start.versions }
  for (const kind of own) {
    texts[kind] = draft[kind]
    versions[kind] = from.versions[kind] ?? start.versions[kind]
  }
  return { draft: texts, versions }
}

/** Parses a kept draft. Null for any other value. */
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
    allowed: textsIn(fieldOf(kept, 'allowed')),
  }
}

/** Writes a kept draft as text. */
export function writtenDraft({ draft, from, allowed }: Kept): string {
  return JSON.stringify({
    ...draft,
    ...(allowed.length === 0 ? {} : { allowed }),
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

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(each => typeof each === 'string') : []
}

function versionsIn(value: unknown): Versions {
  const known = KINDS.map(kind => [kind, fieldOf(value, kind)] as const)
  return Object.fromEntries(known.filter(([, version]) => typeof version === 'number'))
}

/** The texts that a draft is compared with: the stored resources, and for a new resource its own text. */
export type StartOf = (draft: Draft) => Start

/** The versions that differ from the current ones, each with the name of its resource. */
export function pinned(kept: Start, now: Start): Pins {
  const pins: { [kind in Kind]?: NonNullable<Pins[Kind]> } = {}
  for (const kind of KINDS) {
    const version = kept.versions[kind]
    if (version === undefined || version === now.versions[kind]) continue
    pins[kind] = { name: nameIn(now.draft[kind]), version }
  }
  return pins
}

/** The version of a resource that a kept draft started from. Undefined if it is the current one. */
export function pinOf(pins: Pins, kind: Kind, name: string): number | undefined {
  const pin = pins[kind]
  return pin?.name === name ? pin.version : undefined
}

function atPins({ draft, versions }: Start, pins: Pins): Start {
  const of = (kind: Kind): number | undefined => pinOf(pins, kind, nameIn(draft[kind])) ?? versions[kind]
  return { draft, versions: Object.fromEntries(KINDS.map(kind => [kind, of(kind)])) }
}

/**
 * A draft that survives the end of the session, of the page and of the browser. As long as it differs from
 * `startDraft`, the browser's storage has a copy at `place`, until the draft is saved or thrown away.
 */
export function useDraft(place: string, startDraft: Draft, startsFrom: StartOf): DraftState {
  const [start] = useState(startDraft)
  const [startOf] = useState(() => startsFrom)
  const [begun] = useState(() => {
    const kept = parseKept(storedText(place))
    if (kept === null) return null
    const now = startOf(kept.draft)
    const { draft, versions } = restored(kept, now)
    return { draft, pins: pinned({ draft, versions }, now), allowed: kept.allowed }
  })
  const [allowed, setAllowed] = useState<readonly string[]>(begun?.allowed ?? [])
  const [draft, setDraft] = useState(begun?.draft ?? start)
  const [pins, setPins] = useState<Pins>(begun?.pins ?? {})
  const startText = JSON.stringify(start)
  useEffect(() => {
    const isStart = JSON.stringify(draft) === startText
    storeText(place, isStart ? null : writtenDraft({ draft, from: atPins(startOf(draft), pins), allowed }))
  }, [allowed, draft, pins, place, startOf, startText])
  const setText = useCallback(
    (kind: Kind, text: string, fixed: readonly Kind[]) =>
      setDraft(known => withText(known, kind, text, fixed)),
    [],
  )
  const replaceWith = (next: Draft): void => {
    setPins(known => Object.fromEntries(Object.entries(known).filter(([kind]) => isSame(kind, next, draft))))
    setDraft(next)
  }
  const allow = useCallback((resource: string) => setAllowed(known => [...known, resource]), [])
  const forget = useCallback(() => storeText(place, null), [place])
  const wasKept = begun !== null && JSON.stringify(begun.draft) !== startText
  return { draft, pins, replaceWith, setText, forget, allowed, allow, wasKept }
}

const isSame = (kind: string, one: Draft, other: Draft): boolean =>
  KINDS.some(each => each === kind && one[each] === other[each])

export interface EditingOptions {
  readonly problems: readonly Detail[]
  readonly readOnly: readonly Kind[]
  /** The resources that the server has, by kind. */
  readonly stored: { readonly [kind in Kind]?: { readonly name: string } }
}

/** The four texts of a draft, each with its own problems. */
export function useEditings(
  state: DraftState,
  { problems, readOnly, stored }: EditingOptions,
): { readonly [kind in Kind]: Editing } {
  const { draft, setText } = state
  return useMemo(() => {
    const of = (kind: Kind): Editing => ({
      ...{ kind, text: draft[kind], change: text => setText(kind, text, readOnly) },
      problems: problems.filter(({ file }) => file === fileOf(kind)),
      readOnly: readOnly.includes(kind),
      isNew: stored[kind]?.name !== nameIn(draft[kind]),
    })
    return { source: of('source'), model: of('model'), destination: of('destination'), sync: of('sync') }
  }, [draft, problems, readOnly, setText, stored])
}

/** Returns the value once it has not changed for a while. */
export function useRested<T>(value: T, ms: number): T {
  const [rested, setRested] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms)
    return () => clearTimeout(timer)
  }, [ms, value])
  return rested
}

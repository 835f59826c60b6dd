/**
 * A form and its YAML are the same text. They stand beside each other where there is room; on a narrow screen
 * one of them is shown.
 */
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { storedText, storeText } from '../ui/storage.ts'
import { Told } from '../ui/told.tsx'
import { marksOf } from '../ui/places.ts'
import { KINDS, unreadableIn, type Draft, type Kind } from './draft.ts'
import type { Editing } from './use-editing.ts'

/** As styles/editor.css has them. */
const BESIDE = '(min-width: 1001px)'
const ROOM_FOR_ALL = '(min-width: 1500px)'
const KEPT_AT = 'sluice.yaml-beside'

export interface YamlShown {
  /** False on a screen that has room for one of both only. */
  readonly beside: boolean
  readonly shown: boolean
  readonly toggle: () => void
}

/** Whether the YAML is shown. Beside the form it stays as somebody has left it, in every editor. */
export function useYamlShown(): YamlShown {
  const beside = useMatches(BESIDE)
  const hasRoom = useMatches(ROOM_FOR_ALL)
  const [wanted, setWanted] = useState(keptChoice)
  const [instead, setInstead] = useState(false)
  if (!beside) return { beside, shown: instead, toggle: () => setInstead(!instead) }
  const shown = wanted ?? hasRoom
  return {
    ...{ beside, shown },
    toggle: () => {
      setWanted(!shown)
      storeText(KEPT_AT, shown ? 'no' : 'yes')
    },
  }
}

function useMatches(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const media = matchMedia(query)
    const changed = (): void => setMatches(media.matches)
    changed()
    media.addEventListener('change', changed)
    return () => media.removeEventListener('change', changed)
  }, [query])
  return matches
}

function keptChoice(): boolean | null {
  const kept = storedText(KEPT_AT)
  return kept === null ? null : kept === 'yes'
}

type Editings = { readonly [kind in Kind]: Editing }

/**
 * What the forms show. A text that they cannot show, say while it is typed as YAML, leaves its form as it was
 * before, and read only.
 */
export function useShownInForms(draft: Draft, editings: Editings): Editings {
  const readable = useRef<{ [kind in Kind]?: string }>({})
  const shown = { ...editings }
  for (const kind of KINDS)
    if (unreadableIn(draft[kind]) === null) readable.current[kind] = draft[kind]
    else shown[kind] = { ...editings[kind], text: readable.current[kind] ?? '', readOnly: true }
  return shown
}

interface PaneProps {
  readonly editing: Editing
  readonly onSave: () => void
}

export function YamlPane({ editing, onSave }: PaneProps): ReactElement {
  return (
    <section className="card yaml-pane" aria-label="YAML">
      <header className="card-head">
        <h2>The {editing.kind} as YAML</h2>
      </header>
      <div className="pad">
        <YamlOf editing={editing} onSave={onSave} />
      </div>
    </section>
  )
}

export function YamlOf({ editing, onSave }: PaneProps): ReactElement {
  return (
    <>
      <LazyCodeEditor
        label={`The ${editing.kind} as YAML`}
        language="yaml"
        value={editing.text}
        marks={marksOf(editing.problems)}
        onSave={onSave}
        {...(editing.readOnly ? {} : { onChange: editing.change })}
      />
      {editing.problems.map(({ line, message }, index) => (
        <p key={index} className="field-error">
          {line === undefined ? '' : `Line ${line}: `}
          <Told text={message} />
        </p>
      ))}
    </>
  )
}

/** Above a form that shows what was there before its YAML could not be read. */
export function WaitsForYaml(): ReactElement {
  return (
    <p className="banner" role="status">
      The YAML cannot be read as it is now. The form goes on once that is mended.
    </p>
  )
}

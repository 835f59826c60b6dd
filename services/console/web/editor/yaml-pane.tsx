/**
 * A form and its YAML are the same text. A wide screen shows both side by side, a narrow one only one of
 * them.
 */
import { useEffect, useRef, useState, type ReactElement } from 'react'
import { LazyCodeEditor } from '../ui/lazy-code-editor.tsx'
import { storedText, storeText } from '../ui/storage.ts'
import { ServerMessage } from '../ui/server-message.tsx'
import { marksOf } from '../ui/places.ts'
import { KINDS, unreadableIn, type Draft, type Kind } from './draft.ts'
import type { Editing } from './use-editing.ts'

/** The same widths as in styles/editor.css. */
const BESIDE = '(min-width: 1001px)'
const ROOM_FOR_ALL = '(min-width: 1500px)'
const KEPT_AT = 'sluice.yaml-beside'

export interface YamlShown {
  /** False on a screen that has room for only one of them. */
  readonly beside: boolean
  readonly shown: boolean
  readonly toggle: () => void
}

/** True if the YAML is shown. The choice to show it beside the form holds for every editor. */
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

interface YamlButtonProps {
  readonly yaml: YamlShown
  readonly disabled?: boolean
}

export function YamlButton({ yaml, disabled = false }: YamlButtonProps): ReactElement {
  return (
    <button type="button" onClick={yaml.toggle} disabled={disabled}>
      {yaml.shown ? (yaml.beside ? 'Hide the YAML' : 'Show the form') : 'Show the YAML'}
    </button>
  )
}

type Editings = { readonly [kind in Kind]: Editing }

/**
 * The draft that the forms show. While a text cannot be shown, for example because somebody types YAML, its
 * form stays as it was before, and is read only.
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
        <YamlEditor editing={editing} onSave={onSave} />
      </div>
    </section>
  )
}

export function YamlEditor({ editing, onSave }: PaneProps): ReactElement {
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
          <ServerMessage text={message} />
        </p>
      ))}
    </>
  )
}

/** The note above a form that shows the last text that could be read. */
export function WaitsForYaml(): ReactElement {
  return (
    <p className="banner" role="status">
      The YAML cannot be read as it is now. The form goes on once that is mended.
    </p>
  )
}

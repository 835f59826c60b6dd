/**
 * The code editor with one language, loaded when it first comes into view and the page has nothing else to
 * do. A plain field replaces it until then, and if loading fails. The text that a person types into the plain
 * field stays, and so does the cursor.
 */
import { useEffect, useRef, useState, type ReactElement, type RefObject } from 'react'
import type { CodeEditor, CodeProps, Cursor, Language, Syntax } from './code-editor.tsx'
import { whenIdle } from './when-idle.ts'

/** A wide screen also loads an editor that is one screen away. A phone would do work that nobody sees. */
const WIDE = '(min-width: 1001px)'
const NEXT_SCREEN = '100%'
/** A page that is busy for longer has to load it all the same. */
const LATEST_MS = 1_000

const LANGUAGES: { readonly [language in Language]: () => Promise<{ readonly syntax: Syntax }> } = {
  sql: () => import('./languages/sql.ts'),
  yaml: () => import('./languages/yaml.ts'),
  json: () => import('./languages/liquid.ts'),
  xml: () => import('./languages/liquid.ts'),
  text: () => import('./languages/liquid.ts'),
}

interface Loaded {
  readonly Editor: typeof CodeEditor
  readonly syntax: Syntax
}

const loaded = new Map<Language, Loaded>()

/** Does nothing if the server no longer has the file, or does not answer: the plain field stays. */
async function load(language: Language): Promise<void> {
  try {
    const [{ CodeEditor: Editor }, { syntax }] = await Promise.all([
      import('./code-editor.tsx'),
      LANGUAGES[language](),
    ])
    loaded.set(language, { Editor, syntax })
  } catch {
    // The next editor of the language tries again.
  }
}

export function LazyCodeEditor(props: CodeProps): ReactElement {
  const { language } = props
  const field = useRef<HTMLTextAreaElement>(null)
  const cursor = useRef<Cursor | null>(null)
  const [, setReady] = useState<Language | null>(null)
  const found = loaded.get(language)
  const waits = found === undefined
  useEffect(() => {
    if (!waits || field.current === null) return undefined
    return whenInView(field.current, () => void load(language).then(() => setReady(language)))
  }, [language, waits])
  if (found === undefined) return <PlainEditor {...props} field={field} cursor={cursor} />
  const { Editor, syntax } = found
  return <Editor key={language} {...props} syntax={syntax} cursor={cursor.current} />
}

/** Calls back once, when the element is in view and the page idle. Returns a function that ends it. */
function whenInView(element: HTMLElement, act: () => void): () => void {
  let end = (): void => undefined
  const rootMargin = matchMedia(WIDE).matches ? NEXT_SCREEN : '0px'
  const observer = new IntersectionObserver(
    entries => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return
      observer.disconnect()
      end = whenIdle(act, LATEST_MS)
    },
    { rootMargin },
  )
  observer.observe(element)
  return () => {
    observer.disconnect()
    end()
  }
}

interface PlainProps extends CodeProps {
  readonly field: RefObject<HTMLTextAreaElement | null>
  /** Has the cursor of the field while it is focused. */
  readonly cursor: RefObject<Cursor | null>
}

function PlainEditor({ label, value, onChange, field, cursor }: PlainProps): ReactElement {
  const place = ({ currentTarget }: { readonly currentTarget: HTMLTextAreaElement }): void => {
    cursor.current = { from: currentTarget.selectionStart, to: currentTarget.selectionEnd }
  }
  return (
    <textarea
      ref={field}
      className="code"
      data-label={label}
      aria-label={label}
      value={value}
      rows={Math.min(14, value.split('\n').length + 1)}
      readOnly={onChange === undefined}
      onFocus={place}
      onSelect={place}
      onBlur={() => {
        cursor.current = null
      }}
      onChange={({ target }) => onChange?.(target.value)}
    />
  )
}

/**
 * An editor for SQL, Liquid, JSON, XML and YAML. It is in a shadow tree, where its styles become constructed
 * style sheets: the page's policy refuses all other styles that a script adds. Each language is loaded with
 * the first editor that shows it (lazy-code-editor.tsx).
 */
import { autocompletion, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { setDiagnostics, type Diagnostic } from '@codemirror/lint'
import { Compartment, EditorState, type ChangeSpec, type Extension } from '@codemirror/state'
import { EditorView, keymap, lineNumbers, placeholder as placeholderText } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useEffect, useRef, type ReactElement } from 'react'
import { insertVariable } from './liquid-editing.ts'

export type Language = 'sql' | 'json' | 'xml' | 'text' | 'yaml'

/** A mistake, with its place in the text, counted from 1. */
export interface Mark {
  readonly line: number
  readonly column?: number | undefined
  readonly message: string
}

/** The highlighting, the completion and the typing aids of a language. */
export type Syntax = (props: CodeProps) => Extension

/** A range of the text. */
export interface Cursor {
  readonly from: number
  readonly to: number
}

export interface CodeProps {
  readonly label: string
  readonly language: Language
  readonly value: string
  readonly onChange?: (value: string) => void
  readonly onSave?: () => void
  readonly marks?: readonly Mark[]
  readonly placeholder?: string
  /** The completions: `row.email` and the like for templates, columns for SQL. */
  readonly words?: readonly string[]
  /** The variables of a template that a click puts at the cursor, each with the name on its button. */
  readonly variables?: readonly (readonly [name: string, word: string])[]
  /** The tables that the SQL may name, each with its columns. */
  readonly tables?: { readonly [table: string]: readonly string[] }
  readonly oneLine?: boolean
}

interface CodeEditorProps extends CodeProps {
  readonly syntax: Syntax
  /** The cursor of the plain field that this editor replaces. Null if that field is not focused. */
  readonly cursor: Cursor | null
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword], color: 'var(--busy)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--held)' },
  { tag: tags.comment, color: 'var(--quiet)', fontStyle: 'italic' },
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.tagName], color: 'var(--accent)' },
  { tag: [tags.variableName, tags.special(tags.variableName)], color: 'var(--warn)' },
  { tag: tags.invalid, color: 'var(--bad)' },
])

const LOOKS = EditorView.theme({
  '&': {
    ...{ backgroundColor: 'var(--card)', color: 'var(--text)', fontSize: '13.5px' },
    ...{ border: '1px solid var(--line-strong)', borderRadius: '8px' },
  },
  '&.cm-focused': { outline: '2px solid var(--focus)', outlineOffset: '1px' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-scroller': { maxHeight: 'var(--editor-height, 52vh)', overflow: 'auto', lineHeight: '1.5' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--quiet)', border: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--busy-ground)' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', border: '1px solid var(--line)', color: 'var(--text)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    ...{ backgroundColor: 'var(--accent-ground)', color: 'var(--on-accent)' },
  },
  '.cm-placeholder': { color: 'var(--quiet)' },
})

const syntaxOf = (props: CodeEditorProps): Extension => props.syntax(props)

/** Without `onSave`, the page decides what Ctrl-Enter does. */
const KEYS = defaultKeymap.filter(({ key }) => key !== 'Mod-Enter')

/** In a text of one line, Enter does nothing. */
const ONE_LINE: Extension = EditorState.transactionFilter.of(change =>
  change.newDoc.lines > 1 ? [] : change,
)

export function CodeEditor(props: CodeEditorProps): ReactElement {
  const { label, value, marks = [], language, words, tables, onChange } = props
  const host = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | null>(null)
  const latest = useRef(props)
  latest.current = props
  /** The texts that were given to `onChange`, and have not come back as `text` yet. */
  const left = useRef(new Set<string>())
  const languages = useRef(new Compartment())
  const rights = useRef(new Compartment())

  useEffect(() => {
    if (host.current === null) return undefined
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: 'open', delegatesFocus: true })
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          extensionsOf(latest, { languages: languages.current, rights: rights.current }),
          EditorView.updateListener.of(update => {
            const text = update.state.doc.toString()
            if (!update.docChanged || text === latest.current.value) return
            left.current.add(text)
            latest.current.onChange?.(text)
          }),
        ],
      }),
    })
    view.current = editor
    const { cursor } = latest.current
    if (cursor !== null) {
      const { length } = editor.state.doc
      const [anchor, head] = [Math.min(cursor.from, length), Math.min(cursor.to, length)]
      editor.dispatch({ selection: { anchor, head }, scrollIntoView: true })
      editor.focus()
    }
    return () => {
      view.current = null
      editor.destroy()
    }
  }, [])

  const vocabulary = JSON.stringify([language, words, tables])
  useEffect(() => {
    view.current?.dispatch({ effects: languages.current.reconfigure(syntaxOf(latest.current)) })
  }, [vocabulary])

  // Taking a resource over makes its text writable.
  const isReadOnly = onChange === undefined
  useEffect(() => {
    const may = EditorState.readOnly.of(isReadOnly)
    view.current?.dispatch({ effects: rights.current.reconfigure(may) })
  }, [isReadOnly])

  useEffect(() => {
    const editor = view.current
    if (editor === null) return
    const shown = editor.state.doc.toString()
    // An older text of this editor comes back. Newer texts are on their way.
    if (shown !== value && left.current.has(value)) return
    left.current.clear()
    if (shown !== value) editor.dispatch({ changes: changeBetween(shown, value) })
  }, [value])

  const marked = JSON.stringify(marks)
  useEffect(() => {
    const editor = view.current
    if (editor !== null) editor.dispatch(setDiagnostics(editor.state, diagnosticsOf(editor, latest.current)))
  }, [marked, value])

  const { variables = [] } = props
  return (
    <>
      {variables.length === 0 || isReadOnly ? null : (
        <div className="variables" role="group" aria-label={`Insert into ${label}`}>
          {variables.map(([name, word]) => (
            <button
              key={word}
              type="button"
              className="small"
              title={`Insert ${word}`}
              onClick={() => {
                if (view.current !== null) insertVariable(view.current, word, language === 'json')
              }}
            >
              {name}
            </button>
          ))}
        </div>
      )}
      <div
        ref={host}
        className={props.oneLine === true ? 'code-editor one-line' : 'code-editor'}
        data-label={label}
      />
    </>
  )
}

function extensionsOf(
  latest: { readonly current: CodeEditorProps },
  { languages, rights }: { readonly languages: Compartment; readonly rights: Compartment },
): Extension[] {
  const { oneLine = false, label, placeholder = '', onChange } = latest.current
  const save = {
    key: 'Mod-Enter',
    run: () => {
      latest.current.onSave?.()
      return latest.current.onSave !== undefined
    },
  }
  return [
    ...(oneLine ? [ONE_LINE] : [lineNumbers()]),
    history(),
    bracketMatching(),
    autocompletion(),
    indentUnit.of('  '),
    // Tab moves to the next field, as everywhere on the page.
    keymap.of([save, ...closeBracketsKeymap, ...completionKeymap, ...KEYS, ...historyKeymap]),
    languages.of(syntaxOf(latest.current)),
    syntaxHighlighting(COLOURS),
    LOOKS,
    EditorView.lineWrapping,
    // A long text can be scrolled by keyboard.
    EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', tabindex: '0' }),
    rights.of(EditorState.readOnly.of(onChange === undefined)),
    placeholderText(placeholder),
  ]
}

/** Changes only the part that differs, so that cursor and scroll position stay. */
function changeBetween(before: string, after: string): ChangeSpec {
  const shorter = Math.min(before.length, after.length)
  let from = 0
  while (from < shorter && before[from] === after[from]) from += 1
  let same = 0
  while (same < shorter - from && before.at(-1 - same) === after.at(-1 - same)) same += 1
  return { from, to: before.length - same, insert: after.slice(from, after.length - same) }
}

function diagnosticsOf(editor: EditorView, { marks = [] }: CodeEditorProps): Diagnostic[] {
  return marks.map(mark => diagnosticOf(editor, mark))
}

function diagnosticOf(editor: EditorView, { line, column = 1, message }: Mark): Diagnostic {
  const { doc } = editor.state
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines))
  const from = Math.min(at.from + Math.max(column, 1) - 1, at.to)
  return { from, to: at.to > from ? at.to : Math.max(at.from, from - 1), severity: 'error', message }
}

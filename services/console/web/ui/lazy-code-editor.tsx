/**
 * The code editor, loaded when it is first shown. A plain field replaces it while it loads, and if loading
 * fails.
 */
import { lazy, Suspense, type ComponentProps, type ReactElement } from 'react'
import type { CodeEditor } from './code-editor.tsx'

type Props = ComponentProps<typeof CodeEditor>

const Loaded = lazy(async () => {
  try {
    return { default: (await import('./code-editor.tsx')).CodeEditor }
  } catch {
    return { default: PlainEditor }
  }
})

export function LazyCodeEditor(props: Props): ReactElement {
  return (
    <Suspense fallback={<PlainEditor {...props} />}>
      <Loaded {...props} />
    </Suspense>
  )
}

function PlainEditor({ label, value, onChange }: Props): ReactElement {
  return (
    <textarea
      className="code"
      aria-label={label}
      value={value}
      rows={Math.min(14, value.split('\n').length + 1)}
      readOnly={onChange === undefined}
      onChange={({ target }) => onChange?.(target.value)}
    />
  )
}

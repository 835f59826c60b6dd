/** The code editor, loaded when it is first shown. Until then a plain field takes its place. */
import { lazy, Suspense, type ComponentProps, type ReactElement } from 'react'

const Loaded = lazy(async () => {
  const { CodeEditor } = await import('./code-editor.tsx')
  return { default: CodeEditor }
})

export function LazyCodeEditor(props: ComponentProps<typeof Loaded>): ReactElement {
  const { label, value, onChange } = props
  const plain = (
    <textarea
      className="code"
      aria-label={label}
      value={value}
      rows={Math.min(14, value.split('\n').length + 1)}
      readOnly={onChange === undefined}
      onChange={({ target }) => onChange?.(target.value)}
    />
  )
  return (
    <Suspense fallback={plain}>
      <Loaded {...props} />
    </Suspense>
  )
}

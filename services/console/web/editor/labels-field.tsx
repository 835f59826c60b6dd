/** The labels of a sync as one text, separated by commas. */
import { useState, type ReactElement } from 'react'
import { textAt, valueAt, withValue } from './draft.ts'
import { docsOf } from './field-docs.ts'
import { Labelled } from './fields.tsx'
import { mistakeInWords } from './mistakes.ts'
import type { Editing } from './use-editing.ts'

export function LabelsField({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, problems, readOnly } = editing
  const value = valueAt(text, ['labels'])
  const labels = Array.isArray(value)
    ? value.map(String)
    : [textAt(text, ['labels'])].filter(label => label !== '')
  // The text as typed has commas and blanks that the list has not, until somebody leaves the field.
  const [typed, setTyped] = useState<string | null>(null)
  const problem = problems.find(({ field }) => /^labels\b/.test(field ?? ''))
  const write = (next: string): void => {
    setTyped(next)
    const all = next
      .split(',')
      .map(label => label.trim())
      .filter(label => label !== '')
    change(withValue(text, ['labels'], all.length === 0 ? undefined : all))
  }
  return (
    <Labelled
      label="Labels"
      docs={docsOf(editing, ['labels'])}
      hint="Separated by commas, such as crm, nightly. Lists of syncs are filtered by them."
      problem={problem === undefined ? undefined : mistakeInWords(problem)}
    >
      {({ id, describedBy }) => (
        <input
          id={id}
          value={typed ?? labels.join(', ')}
          aria-invalid={problem !== undefined}
          aria-describedby={describedBy}
          readOnly={readOnly}
          onChange={({ target }) => write(target.value)}
          onBlur={() => setTyped(null)}
        />
      )}
    </Labelled>
  )
}

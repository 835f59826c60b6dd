/** The labels of a sync. */
import type { ReactElement } from 'react'

export function Labels({ labels = [] }: { readonly labels?: readonly string[] | undefined }): ReactElement {
  return (
    <>
      {labels.map(label => (
        <bdi key={label} className="sync-label">
          {label}
        </bdi>
      ))}
    </>
  )
}

/** The notices of a run, which stand beside its counts: for example, that a certificate ends soon. */
import type { RunView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { Section } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'

export function Notices({ of }: { readonly of: Pick<RunView, 'notices'> }): ReactElement | null {
  const { notices = [] } = of
  if (notices.length === 0) return null
  return (
    <Section title="Notices">
      <ul className="plain-list">
        {notices.map(notice => (
          <li key={notice}>
            <ServerMessage text={notice} />
          </li>
        ))}
      </ul>
    </Section>
  )
}

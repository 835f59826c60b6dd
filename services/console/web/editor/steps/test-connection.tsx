/** Connects to a source, and says what answers or what fails. */
import { useState, type ReactElement } from 'react'
import { many } from '../../ui/format.ts'
import { ServerMessage } from '../../ui/server-message.tsx'
import { textAt } from '../draft.ts'
import { queriedRows } from '../model-rows.ts'
import { isServerType } from '../server-url.ts'
import { connectionFault, type ConnectionFault } from './connection-fault.ts'
import type { KeepSecret } from '../kept-secret-field.tsx'

/** The result of a test, and the text of the source that was tested. */
type Tested = { readonly source: string } & (
  { readonly kind: 'works'; readonly what: string } | ({ readonly kind: 'failed' } & ConnectionFault)
)

interface TestProps {
  readonly text: string
  /** Stores a password that is typed and not kept yet. */
  readonly keep: { current: KeepSecret | null }
}

export function TestConnection({ text, keep }: TestProps): ReactElement {
  const [lately, setLately] = useState<Tested | null>(null)
  const tested = lately?.source === text ? lately : null
  const [busy, setBusy] = useState(false)
  const test = async (): Promise<void> => {
    setBusy(true)
    let source = text
    try {
      source = (await keep.current?.()) ?? text
      setLately({ source, kind: 'works', what: await answerOf(source) })
    } catch (error) {
      setLately({ source, kind: 'failed', ...connectionFault(error, source) })
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="test-line">
      <button type="button" disabled={busy} onClick={() => void test()}>
        {busy ? 'Connecting…' : 'Test connection'}
      </button>
      <span role="status">
        {tested === null ? null : tested.kind === 'works' ? (
          <span className="good">✓ {tested.what}</span>
        ) : (
          <>
            <span className="bad">{tested.words}</span>
            {tested.said === null ? null : (
              <small className="said">
                <ServerMessage text={tested.said} />
              </small>
            )}
          </>
        )}
      </span>
    </div>
  )
}

/** Asks the source, and says in a sentence what answers. */
async function answerOf(source: string): Promise<string> {
  const type = textAt(source, ['type'])
  if (type === 'kafka') {
    const { rows } = await queriedRows(source, {})
    return `Kafka answers, with ${many(rows.length, 'topic', 'topics')}.`
  }
  const isServer = isServerType(type)
  const sql = isServer ? 'select version() as version' : 'select 1 as version'
  const { rows } = await queriedRows(source, { sql })
  return `${isServer ? productOf(String(rows[0]?.['version'])) : 'The source'} answers.`
}

/**
 * `PostgreSQL 17.2` from `PostgreSQL 17.2 (Debian …) on x86_64…`, `MariaDB 11.4.5` from
 * `11.4.5-MariaDB-ubu2404`.
 */
function productOf(version: string): string {
  const [, postgres] = /^PostgreSQL ([\d.]+)/.exec(version) ?? []
  if (postgres !== undefined) return `PostgreSQL ${postgres}`
  const [, number = version] = /^([\d.]+)/.exec(version) ?? []
  return `${/mariadb/i.test(version) ? 'MariaDB' : 'MySQL'} ${number}`
}

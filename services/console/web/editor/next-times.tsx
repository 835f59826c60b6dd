/** The next times of a schedule, which the server computes as it does for runs. */
import { useQuery } from '@tanstack/react-query'
import type { ReactElement } from 'react'
import { call } from '../api/client.ts'
import { inZone, utcTime } from '../ui/format.ts'
import { nameIn, textAt } from './draft.ts'
import { ServerMessage } from '../ui/server-message.tsx'
import { useRested } from './use-editing.ts'

const TYPED_MS = 250

/** The next five times of the schedule in the text of a sync. */
export function NextTimes({ text }: { readonly text: string }): ReactElement | null {
  const at = (field: string): string => textAt(text, ['schedule', field])
  const [every, cron, timezone] = [at('every'), at('cron'), at('timezone')]
  const asked = useRested(JSON.stringify({ sync: nameIn(text), every, cron, timezone }), TYPED_MS)
  const { data, error } = useQuery({
    queryKey: ['next-times', asked],
    queryFn: ({ signal }) => call('nextTimes', fieldsOf(asked), { signal }),
    placeholderData: before => before,
    retry: false,
  })
  if (error !== null)
    return (
      <p className="field-error">
        <ServerMessage text={error.message} />
      </p>
    )
  if (data === undefined) return <p className="quiet">The next times…</p>
  if (data.times.length === 0) return <p className="field-error">This time never comes.</p>
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  const zone = data.timezone ?? own
  return (
    <div className="next-times">
      <p id="next-times">
        The next {data.times.length} times, in {zone}
        {zone === own ? '' : `, and in ${own}`}
      </p>
      <ol aria-labelledby="next-times">
        {data.times.map(time => (
          <li key={time}>
            <time dateTime={time} title={utcTime(time)}>
              {inZone(time, zone)}
            </time>
            {zone === own ? null : <small>{inZone(time, own)}</small>}
          </li>
        ))}
      </ol>
    </div>
  )
}

function fieldsOf(asked: string): { readonly [name: string]: string } {
  const fields: unknown = JSON.parse(asked)
  return Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, String(value)]))
}

/** The browser of the topics of a source. A click chooses one. */
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { OF_DRAFT } from '../draft.ts'
import { isReachable, queriedRows, TYPED_MS, type ChosenRows } from '../model-rows.ts'
import { useRested } from '../use-editing.ts'
import { BrowserFrame, Unknown } from './browser-frame.tsx'

/** Below this many topics nobody has to search. */
const FEW = 9
const MOST_SHOWN = 100

export function Topics({
  source,
  onChoose,
}: {
  readonly source: string
  readonly onChoose: (rows: ChosenRows) => void
}): ReactElement {
  const rested = useRested(source, TYPED_MS)
  const [search, setSearch] = useState('')
  const { data, error } = useQuery({
    queryKey: ['topics', rested],
    queryFn: async ({ signal }) => {
      const { rows, more } = await queriedRows(rested, {}, signal)
      return { topics: rows.map(row => String(row['topic'])), more }
    },
    enabled: isReachable(rested),
    ...ONCE_WHEN_THERE_IS_ROOM,
    staleTime: 60_000,
    meta: OF_DRAFT,
  })
  if (!isReachable(source))
    return <p className="quiet">The topics appear here once the source has a broker.</p>
  if (data === undefined) return <Unknown one="topic" {...{ source, error }} />
  const wanted = search.trim().toLowerCase()
  const found = data.topics.filter(topic => topic.toLowerCase().includes(wanted))
  return (
    <BrowserFrame
      one="topic"
      search={data.topics.length > FEW ? { text: search, set: setSearch } : undefined}
    >
      <ul>
        {found.slice(0, MOST_SHOWN).map(topic => (
          <li key={topic} className="table-line">
            <span className="table-name">{topic}</span>
            <button
              type="button"
              className="small"
              aria-label={`Use ${topic}`}
              onClick={() => onChoose({ topic, name: topic.replace(/^.*[.]/, '') })}
            >
              Use
            </button>
          </li>
        ))}
      </ul>
      {found.length > 0 ? null : data.topics.length === 0 ? (
        <p className="quiet">This login may see no topic.</p>
      ) : (
        <p className="quiet">No topic has this name.</p>
      )}
      {found.length > MOST_SHOWN || data.more ? (
        <p className="quiet">There are more topics. The search finds them, and a name can be typed.</p>
      ) : null}
    </BrowserFrame>
  )
}

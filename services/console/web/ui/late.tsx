/** The words in place of contents that do not come: why, and a button that asks again. */
import { useEffect, useState, type ReactElement } from 'react'
import { useLostSince } from '../api/connection.ts'
import { askAgain } from '../api/query-client.ts'

/** Most answers come sooner. */
const LATE_MS = 8_000

/** Shows nothing at first. */
export function Late(): ReactElement | null {
  const [isLate, setLate] = useState(false)
  const [asked, setAsked] = useState(0)
  const isLost = useLostSince() !== null
  useEffect(() => {
    setLate(false)
    const timer = setTimeout(() => setLate(true), LATE_MS)
    return () => clearTimeout(timer)
  }, [asked])
  if (!isLate && !isLost) return null
  const again = (): void => {
    setAsked(asked + 1)
    void askAgain()
  }
  return (
    <div className="late">
      <p>
        {isLost
          ? 'The server does not answer.'
          : 'This takes longer than usual. The server is still at work.'}
      </p>
      <button type="button" className="small" onClick={again}>
        Try again
      </button>
    </div>
  )
}

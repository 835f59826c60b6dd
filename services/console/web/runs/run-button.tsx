/** Starts a run, or leads to the one that is queued or running. */
import type { RunView } from '@sluice/contracts/api'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { ask } from '../api/commands.ts'
import { hasEnded } from '../api/follow-run.ts'
import { useMay, whyOff } from '../api/session.ts'
import { toastError } from '../ui/toast.tsx'
import { useGoToRun } from './go-to-run.ts'

interface RunButtonProps {
  readonly sync: string
  readonly lastRun: RunView | null
  readonly small?: boolean
}

export function RunButton({ sync, lastRun, small = false }: RunButtonProps): ReactElement {
  const follow = useGoToRun()
  const [busy, setBusy] = useState(false)
  const may = useMay('run')
  const size = small ? ' small' : ''
  if (lastRun !== null && !hasEnded(lastRun))
    return (
      <Link to="/runs/$id" params={{ id: lastRun.id }} className={`button${size}`}>
        Follow
      </Link>
    )
  const run = async (): Promise<void> => {
    setBusy(true)
    try {
      await follow(ask('run', { name: sync }))
    } catch (error) {
      toastError(error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <button
      type="button"
      className={small ? 'small' : 'primary'}
      disabled={busy || !may}
      title={may ? undefined : whyOff('run')}
      onClick={() => void run()}
    >
      {busy ? (
        'Starting…'
      ) : (
        <span>
          Run <span className="hidden">{sync} </span>
          {small ? <span className="hidden">now</span> : 'now'}
        </span>
      )}
    </button>
  )
}

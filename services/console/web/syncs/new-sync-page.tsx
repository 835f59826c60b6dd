/** Setting up a sync, from nothing or from resources that are there. */
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { STARTING_DRAFT } from '../editor/draft.ts'
import { EditorPage } from '../editor/editor-page.tsx'

export function NewSyncPage(): ReactElement {
  const { step } = useSearch({ from: '/new' })
  const navigate = useNavigate()
  return (
    <EditorPage
      title="New sync"
      place="new"
      start={STARTING_DRAFT}
      stored={{}}
      step={step}
      onStep={next => void navigate({ to: '/new', search: { step: next } })}
    />
  )
}

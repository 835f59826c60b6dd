/** The way through the steps of an editor: the list above a step, and the buttons below it. */
import { Link } from '@tanstack/react-router'
import type { Problem } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { Trouble } from '../ui/parts.tsx'
import { STEPS, stepOf, type StepId } from './steps.ts'
import type { Saving } from './use-saving.ts'

interface StepListProps {
  readonly shown: StepId
  readonly problems: Problem['errors']
  readonly isDone: (step: StepId) => boolean
  readonly onStep: (step: StepId) => void
}

/** Shows the present step, the steps that are done, and the steps with mistakes. */
export function StepList({ shown, problems, isDone, onStep }: StepListProps): ReactElement {
  const wrong = new Set<StepId>(problems.map(problem => stepOf(problem).id))
  return (
    <nav className="steps" aria-label="Steps">
      <ol>
        {STEPS.map(({ id, name }, index) => {
          const state = wrong.has(id) ? 'wrong' : isDone(id) && id !== shown ? 'done' : 'open'
          return (
            <li key={id} data-state={state}>
              <button
                type="button"
                aria-current={id === shown ? 'step' : undefined}
                title={state === 'done' ? 'Done' : undefined}
                onClick={() => onStep(id)}
              >
                <span className="step-mark" aria-hidden="true">
                  {state === 'wrong' ? '!' : state === 'done' ? '✓' : index + 1}
                </span>
                <span>{name}</span>
                {state === 'wrong' ? <span className="bad"> — to mend</span> : null}
              </button>
            </li>
          )
        })}
      </ol>
    </nav>
  )
}

interface FootProps {
  readonly id: StepId
  readonly onStep: (step: StepId) => void
  /** Null if there is nothing to save. */
  readonly save: Saving | null
  readonly isRight: boolean
}

export function StepFoot({ id, onStep, save, isRight }: FootProps): ReactElement {
  const at = STEPS.findIndex(step => step.id === id)
  const [before, after] = [STEPS[at - 1], STEPS[at + 1]]
  return (
    <>
      {save === null || save.error === null ? null : (
        <Trouble error={save.error} onRetry={() => void save.save(false)} />
      )}
      <footer className="step-foot">
        {before === undefined ? (
          <Link to="/" className="button">
            Leave
          </Link>
        ) : (
          <button type="button" onClick={() => onStep(before.id)}>
            ← {before.name}
          </button>
        )}
        <span className="actions">
          <button
            type="button"
            disabled={save === null || save.isBusy || !isRight}
            title={isRight ? undefined : 'First mend what the steps say.'}
            onClick={() => void save?.save(false)}
          >
            Save
          </button>
          {after === undefined ? null : (
            <button type="button" className="primary" onClick={() => onStep(after.id)}>
              {after.name} →
            </button>
          )}
        </span>
      </footer>
    </>
  )
}

/** The mistakes of a draft that its form does not show just now, each with the way to its field. */
import type { Problem } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { ServerMessage } from '../ui/server-message.tsx'
import type { Draft } from './draft.ts'
import { mistakeInWords, placeInWords } from './mistakes.ts'
import { stepOf, type StepId } from './steps.ts'

export interface MistakesProps {
  readonly draft: Draft
  readonly problems: Problem['errors']
  /** Leads to the step of a mistake. A field of a trigger also names the trigger. */
  readonly onMend: (step: StepId, field: string) => void
}

export function Mistakes({ draft, problems, onMend }: MistakesProps): ReactElement {
  return (
    <ul>
      {problems.map((problem, index) => {
        const { where } = placeInWords(problem, draft)
        const step = stepOf(problem)
        return (
          <li key={index}>
            <button type="button" className="link" onClick={() => onMend(step.id, problem.field ?? '')}>
              {step.name === where || where === '' ? step.name : `${step.name}: ${where}`}
            </button>{' '}
            <ServerMessage text={mistakeInWords(problem)} />
          </li>
        )
      })}
    </ul>
  )
}

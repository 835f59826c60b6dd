/** The choice of a real API as a start for a new destination with its requests. */
import { useState, type ReactElement } from 'react'
import { toastError } from '../ui/toast.tsx'
import { nameIn, type Draft } from './draft.ts'
import { SelectField } from './select-field.tsx'

/** The examples of `docs/examples`, by the name of their folder. */
export const API_TEMPLATES = [
  ['algolia', 'Algolia: synonyms, in batches'],
  ['braze', 'Braze: users, in batches'],
  ['customerio', 'Customer.io: people'],
  ['hubspot', 'HubSpot: contacts, in batches'],
  ['salesforce', 'Salesforce: accounts, in batches'],
  ['slack', 'Slack: a message for each new row'],
  ['soap', 'A SOAP service: orders as XML'],
  ['stripe', 'Stripe: customers'],
] as const

interface StartProps {
  readonly draft: Draft
  /** The names of the destinations that the server has. */
  readonly taken: readonly string[]
  readonly onStart: (draft: Draft) => void
}

export function StartFrom({ draft, taken, onStart }: StartProps): ReactElement {
  const [chosen, setChosen] = useState<{ readonly from: string; readonly destination: string } | null>(null)
  const choose = async (name: string): Promise<void> => {
    try {
      const { startedFrom, templateOf } = await import('./api-templates.ts')
      const started = startedFrom(draft, templateOf(name), taken)
      setChosen({ from: name, destination: nameIn(started.destination) })
      onStart(started)
    } catch (error) {
      toastError(error)
    }
  }
  const from = chosen?.destination === nameIn(draft.destination) ? chosen.from : ''
  return (
    <SelectField
      label="Start from"
      value={from}
      readOnly={false}
      hint={
        from === ''
          ? 'A real API brings its address, its limits, and its requests.'
          : 'Its requests use the columns of the example. The next step says which of them your rows do not have.'
      }
      options={[['', 'An API of your own'], ...API_TEMPLATES]}
      onChoose={name => {
        if (name !== '') void choose(name)
      }}
    />
  )
}

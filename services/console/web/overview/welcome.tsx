/** The overview of a server without syncs. */
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { ForRole } from '../ui/for-role.tsx'
import { Empty, Section } from '../ui/parts.tsx'
import { OfferSample } from './sample-project.tsx'
import { HideSteps, StepsList, useFirstSteps } from './steps-list.tsx'

export function Welcome(): ReactElement {
  const [isShown, hide] = useFirstSteps([])
  return (
    <>
      <Section title="Set up your first sync" aside={isShown ? <HideSteps onHide={hide} /> : null}>
        <Empty title="A sync sends what changes in your data to an API, one request for each row or batch.">
          {isShown ? <StepsList syncs={[]} /> : null}
          <p>
            <ForRole role="edit" label="Set up a sync" className="primary">
              <Link to="/new" className="button primary">
                Set up a sync
              </Link>
            </ForRole>
          </p>
        </Empty>
      </Section>
      <OfferSample />
      <Section title="Or from files">
        <div className="pad">
          <p>
            A project is a folder of YAML files in Git. The command puts it here, and this page shows it at
            once:
          </p>
          <pre className="code" tabIndex={0}>
            {'sluice init customers\nsluice apply --dir customers'}
          </pre>
        </div>
      </Section>
    </>
  )
}

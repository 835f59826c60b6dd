/** The overview of a server without syncs. */
import { Link } from '@tanstack/react-router'
import type { ReactElement } from 'react'
import { ForRole } from '../ui/for-role.tsx'
import { Empty, Section } from '../ui/parts.tsx'
import { OfferSample } from './sample-project.tsx'

export function Welcome(): ReactElement {
  return (
    <>
      <Section title="Set up your first sync">
        <Empty title="A sync sends what changes in your data to an API, one request for each row or batch.">
          <ol className="steps-list">
            <li>
              <strong>Source and model</strong>: where the rows are, and the SQL that gives them.
            </li>
            <li>
              <strong>Destination</strong>: the API, how to sign in there, and how fast it may be called.
            </li>
            <li>
              <strong>Triggers</strong>: the request for added, changed and removed rows, shown live on your
              own rows.
            </li>
          </ol>
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

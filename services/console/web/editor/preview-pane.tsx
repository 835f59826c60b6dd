/** The preview beside every step: real rows and their requests, which the server renders as in a run. */
import type { PreviewView, Problem } from '@sluice/contracts/api'
import { useQuery } from '@tanstack/react-query'
import { useMemo, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../api/query-client.ts'
import { BodyView } from '../requests/body-view.tsx'
import { SendOne } from '../requests/send-one.tsx'
import { Loading } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { documentsOf, fileOf, nameIn, OF_DRAFT, textAt, valueAt, type Draft } from './draft.ts'
import { hasNoRowsYet } from './model-rows.ts'
import { placeInWords, rowErrorInWords } from './mistakes.ts'
import { Mistakes, type MistakesProps } from './mistakes-list.tsx'
import { isShownAtField, type StepId } from './steps.ts'
import { TRIGGERS, type Trigger } from './steps/trigger-step.tsx'
import { useRested } from './use-editing.ts'

const TYPED_MS = 120
const EXAMPLE_ROWS = 3
const AGAIN_MS = 10_000

export interface Previewed {
  readonly preview: PreviewView | undefined
  readonly error: Error | null
  readonly isAsking: boolean
  /** True while nobody has said which rows the sync sends. */
  readonly waits: boolean
  /** True if the sync has no such trigger. */
  readonly isOff: boolean
  /** The problems in the draft's texts. */
  readonly problems: Problem['errors']
}

/**
 * Previews the draft. The last preview stays while the next one loads, and while there is an error. A draft
 * that `isFresh` has no mistakes as long as nobody has said which rows it sends.
 */
export function usePreview(draft: Draft, trigger: Trigger, isFresh: boolean): Previewed {
  const rested = useRested(draft, TYPED_MS)
  const isOn = (each: Trigger): boolean => valueAt(rested.sync, ['triggers', each]) !== undefined
  // If the sync has no such trigger, the preview of another trigger finds the same problems in the texts.
  const asked = isOn(trigger) ? trigger : (TRIGGERS.find(isOn) ?? trigger)
  const waits = rested.source === '' || rested.destination === '' || (isFresh && hasNoRowsYet(rested))
  const { data, error, isFetching } = useQuery({
    queryKey: ['draft-preview', rested, asked],
    queryFn: ({ signal }) =>
      call(
        'previewDocuments',
        {
          ...{ sync: nameIn(rested.sync), trigger: asked, sample: true, rows: EXAMPLE_ROWS },
          documents: documentsOf(rested),
        },
        { signal },
      ),
    enabled: !waits,
    placeholderData: before => before,
    // The source may change without the draft.
    refetchInterval: AGAIN_MS,
    ...ONCE_WHEN_THERE_IS_ROOM,
    gcTime: 60_000,
    meta: OF_DRAFT,
  })
  const shown = waits ? null : error
  const isOfTopics = textAt(rested.source, ['type']) === 'kafka'
  const problems = useMemo(
    () => (shown instanceof ApiError ? shown.details.map(detail => ofForms(detail, isOfTopics)) : []),
    [shown, isOfTopics],
  )
  return { preview: data, error: shown, isAsking: isFetching, waits, isOff: !isOn(trigger), problems }
}

const STREAM_NEEDS =
  'A stream reads a topic of Kafka, or a table of PostgreSQL. For a table, tick “Streams may follow its tables” in the step “Source”, and use the table, in place of a query, in the step “Model”.'

/**
 * Moves a problem to the field of its form. The server reports an error of the model's query as an error of
 * the sync, and names fields of the YAML that a form does not have.
 */
function ofForms(problem: Problem['errors'][number], isOfTopics: boolean): Problem['errors'][number] {
  const { file, field = '', message } = problem
  if (field === '' && /^sync `[^`]*`: Model /.test(message))
    return { ...problem, file: fileOf('model'), message: message.replace(/^[^:]*: /, '') }
  if (file === fileOf('model') && message.includes('one of `sql`, `table` and `topic`, found none'))
    return isOfTopics
      ? { file, field: 'topic', message: 'Choose a topic.' }
      : { file, field: 'sql', message: 'Choose a table or a file, or write a query.' }
  if (field === 'schedule' && message.includes('`continuous` needs a model with'))
    return { ...problem, message: STREAM_NEEDS }
  if (file === fileOf('source') && field === 'url' && message.includes('wanted a URL'))
    return { ...problem, message: 'Type the host, the database and the user of the server.' }
  return problem
}

interface PreviewProps extends Pick<MistakesProps, 'draft' | 'onMend'> {
  readonly previewed: Previewed
  readonly step: StepId
  readonly trigger: Trigger
  /** True if the draft has no unsaved changes. */
  readonly isSaved: boolean
}

export function PreviewPane(props: PreviewProps): ReactElement {
  const { previewed, trigger, draft, isSaved } = props
  const { preview, error, isAsking, waits, isOff } = previewed
  const requests = preview?.requests.filter(request => request.trigger === trigger) ?? []
  const rejected = preview?.rejected?.filter(request => request.trigger === trigger) ?? []
  return (
    <section className="card preview" aria-label="Live preview" aria-busy={isAsking}>
      <header className="card-head">
        <h2>What {trigger} rows send</h2>
        <span className="quiet" role="status">
          {isAsking
            ? 'rendering…'
            : waits
              ? 'waits for rows'
              : error === null
                ? 'up to date'
                : 'not up to date'}
        </span>
      </header>
      {error === null ? null : <PreviewError {...props} error={error} />}
      {waits ? (
        <p className="quiet pad">
          The requests that your rows become appear here. Choose a source, then a table, a file, a topic or a
          query in the step “Model”, and a destination.
        </p>
      ) : null}
      {preview === undefined && error === null && !waits ? <Loading lines={6} /> : null}
      <div className={error === null ? 'preview-requests' : 'preview-requests stale'}>
        {requests.map((request, index) => (
          <article key={index} className="preview-request">
            <h3>
              <b>{request.method}</b> <span className="path">{request.url}</span>
            </h3>
            <p className="quiet">
              {request.keys.length === 1 ? `Row ${request.keys.join('')}` : `${request.keys.length} rows`}
            </p>
            <dl className="headers">
              {Object.entries(request.headers).map(([name, value]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
            <BodyView body={request.body} asItIs="As rendered" />
            {request.keys.length > 0 && error === null ? (
              <SendOne
                sync={nameIn(draft.sync)}
                rowKey={request.keys[0] ?? ''}
                trigger={trigger}
                {...(isSaved ? {} : { documents: documentsOf(draft) })}
              />
            ) : null}
          </article>
        ))}
        {rejected.map((request, index) => (
          <article key={index} className="preview-request">
            <h3 className="bad">Row {request.keys.join(', ')} cannot be sent</h3>
            <p className="group-error">{rowErrorInWords(request.error)}</p>
          </article>
        ))}
        {preview !== undefined && requests.length === 0 && rejected.length === 0 && error === null ? (
          <p className="quiet pad">
            {isOff
              ? `Nothing is sent for ${trigger} rows.`
              : 'The model has no row to show, or this trigger sends nothing.'}
          </p>
        ) : null}
      </div>
    </section>
  )
}

/**
 * Shows the mistakes that the form does not show at their fields. Of all others, it names only the places.
 */
function PreviewError({
  error,
  previewed: { problems },
  draft,
  step,
  trigger,
  onMend,
}: PreviewProps & { readonly error: Error }): ReactElement {
  const others = problems.filter(detail => !isShownAtField(detail, step, trigger))
  const places = problems
    .filter(detail => !others.includes(detail))
    .map(detail => placeInWords(detail, draft).where || 'this step')
  const isFileMissing =
    error instanceof ApiError &&
    error.problem?.code === 'missing-file' &&
    problems.some(({ file }) => file === fileOf('model'))
  return (
    <div className="preview-error" role="status">
      {problems.length === 0 ? (
        <p>
          <ServerMessage text={error.message} />
        </p>
      ) : null}
      {places.length === 0 ? null : (
        <p>Nothing can be shown before this is mended: {[...new Set(places)].join('; ')}.</p>
      )}
      {others.length === 0 ? null : <Mistakes {...{ draft, onMend }} problems={others} />}
      {isFileMissing ? <p>The step “Model” lists the files that are there, each by one click.</p> : null}
    </div>
  )
}

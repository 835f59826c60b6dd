/** The step for the schedule and the error handling. */
import type { ReactElement } from 'react'
import { AnswerRules, RowRules } from '../answer-rules.tsx'
import { isStream, textAt, valueAt, withValue, type Path } from '../draft.ts'
import { docsOf } from '../field-docs.ts'
import { ChoiceField, problemAt, SwitchField, TextField } from '../fields.tsx'
import { LabelsField } from '../labels-field.tsx'
import { LimitsFields } from '../limits-fields.tsx'
import { NamingFields } from '../naming-fields.tsx'
import { NextTimes } from '../next-times.tsx'
import { isAbsent, ModeField, SelectField } from '../select-field.tsx'
import { Ticks } from '../ticks.tsx'
import { isMap } from '../../ui/fields-of.ts'
import { ServerMessage } from '../../ui/server-message.tsx'
import { DurationField, PercentField } from '../unit-fields.tsx'
import type { Editing } from '../use-editing.ts'

interface StepProps {
  readonly editing: Editing
  /** The columns of the model. */
  readonly columns: readonly string[]
}

export function BehaviourStep({ editing, columns }: StepProps): ReactElement {
  const streams = isStream(editing.text)
  return (
    <>
      <NamingFields editing={editing} label="Name of the sync" />
      <LabelsField editing={editing} />
      <Schedule editing={editing} />
      <ChoiceField
        editing={editing}
        path={['firstRun']}
        label="The first run"
        choices={[
          ['backfill', 'sends all rows'],
          ['skip-existing', 'sends no row', 'Only later changes are sent.'],
          ['ask', 'fails until somebody chooses', 'Its message says how to send all rows, or none.'],
        ]}
      />
      <Errors editing={editing} />
      <RemovalGuard editing={editing} />
      <details>
        <summary>Answers of the API, and results of single rows</summary>
        <AnswerRules editing={editing} />
        <RowRules editing={editing} columns={columns} />
      </details>
      <details>
        <summary>Delivery, comparison, limits and times</summary>
        {streams ? null : (
          <ChoiceField
            editing={editing}
            path={['delivery']}
            label="Delivery"
            choices={[
              ['at-least-once', 'at least once', 'A request without an answer is sent again.'],
              [
                'at-most-once',
                'at most once',
                'A request without an answer is sent again only if somebody retries its rows.',
              ],
            ]}
          />
        )}
        <Compare editing={editing} columns={columns} />
        <LimitsFields
          editing={editing}
          legend="Limits of this sync alone"
          otherwise="None: those of the destination hold. Of both, the stricter counts."
        />
        <div className="columns">
          <DurationField
            editing={editing}
            path={['timeout']}
            label="Wait for an answer at most"
            placeholder="30"
          />
          {streams ? null : (
            <DurationField
              editing={editing}
              path={['maxDuration']}
              label="A run lasts at most"
              unit="h"
              placeholder="144"
              hint="The next run sends what is left."
            />
          )}
          <TextField
            editing={editing}
            path={['partitions']}
            label="Partitions"
            isNumber
            placeholder="4"
            hint="Fixed from the first run until a reset."
          />
        </div>
      </details>
    </>
  )
}

function Errors({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change } = editing
  // Extra attempts, and the pauses before them, are of no use without `now`.
  const fitting = (changed: string): void => {
    const isNow = textAt(changed, ['errors', 'retry']) === 'now'
    const without = withValue(
      withValue(changed, ['errors', 'attempts'], undefined),
      ['errors', 'backoff'],
      undefined,
    )
    change(isNow ? changed : without)
  }
  return (
    <fieldset>
      <legend>When a row cannot be delivered</legend>
      <ChoiceField
        editing={{ ...editing, change: fitting }}
        path={['errors', 'retry']}
        label="Retry"
        choices={
          isStream(text)
            ? [
                ['next-run', 'after the pause above'],
                ['now', 'at once some times, and then after the pause above'],
              ]
            : [
                ['next-run', 'on the next run'],
                ['now', 'in this run, and then on the next'],
              ]
        }
      />
      {textAt(text, ['errors', 'retry']) === 'now' ? (
        <div className="columns">
          <TextField
            editing={editing}
            path={['errors', 'attempts']}
            label={isStream(text) ? 'Retries at once' : 'Retries within the run'}
            isNumber
            placeholder="3"
          />
          <DurationField
            editing={editing}
            path={['errors', 'backoff', 'first']}
            label="First pause, at most"
            placeholder="1"
          />
          <DurationField
            editing={editing}
            path={['errors', 'backoff', 'max']}
            label="Longest pause"
            placeholder="60"
          />
        </div>
      ) : null}
      <TextField
        editing={editing}
        path={['errors', 'giveUpAfter']}
        label={isStream(text) ? 'Stop retrying after this many tries' : 'Stop retrying after this many runs'}
        isNumber
        placeholder="never"
      />
      <SwitchField
        editing={editing}
        path={['errors', 'splitBatches']}
        label="Halve a rejected batch until the bad rows stand alone"
      />
    </fieldset>
  )
}

function RemovalGuard({ editing }: { readonly editing: Editing }): ReactElement {
  return (
    <fieldset>
      <legend>Approval of removals</legend>
      <ModeField
        editing={editing}
        path={['removalGuard']}
        label="A run waits for approval"
        modes={[
          {
            ...{ id: 'usual', start: undefined, fits: isAbsent },
            name: 'beyond the usual limit',
            meaning: 'It would remove half of the rows and over 100, or all of them.',
          },
          {
            ...{ id: 'own', start: { share: 0.5, rows: 100 }, fits: isMap },
            name: 'beyond another limit',
          },
          { id: 'off', name: 'never', start: false, fits: value => value === false },
        ]}
      >
        {mode =>
          mode === 'own' ? (
            <div className="columns">
              <PercentField
                editing={editing}
                path={['removalGuard', 'share']}
                label="More than this share of the rows"
                placeholder="50"
              />
              <TextField
                editing={editing}
                path={['removalGuard', 'rows']}
                label="and more than this many rows"
                isNumber
                placeholder="100"
              />
            </div>
          ) : null
        }
      </ModeField>
    </fieldset>
  )
}

function Compare({ editing, columns }: StepProps): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, ['compare'])
  const chosen = Array.isArray(value) ? value.map(String) : []
  return (
    <ModeField
      editing={editing}
      path={['compare']}
      label="A row counts as changed"
      modes={[
        {
          ...{ id: 'used', start: undefined, fits: each => each === undefined || each === 'used' },
          name: 'if a column that is sent has changed',
        },
        { id: 'all', name: 'if any column has changed', start: 'all', fits: each => each === 'all' },
        {
          ...{ id: 'list', name: 'if one of these columns has changed', start: columns },
          fits: each => Array.isArray(each),
        },
      ]}
    >
      {mode =>
        mode === 'list' ? (
          <div className="checks" role="group" aria-label="Columns that are compared">
            <Ticks
              names={columns}
              chosen={chosen}
              readOnly={readOnly}
              onChange={next => change(withValue(text, ['compare'], next))}
            />
          </div>
        ) : null
      }
    </ModeField>
  )
}

/** What streams alone have. */
function StreamFields({ editing }: { readonly editing: Editing }): ReactElement {
  return (
    <>
      <p className="quiet">A stream compares the whole table once, and then sends each change as it comes.</p>
      <div className="columns">
        <TextField
          editing={editing}
          path={['slice', 'rows']}
          label="Changes taken together"
          placeholder="5000"
          isNumber
        />
        <DurationField
          editing={editing}
          path={['slice', 'wait']}
          label="Longest wait for more"
          unit="ms"
          placeholder="5"
        />
      </div>
      <DurationField
        editing={editing}
        path={['errors', 'retryAfter']}
        label="Failed rows are sent again after"
        placeholder="60"
        unit="s"
      />
    </>
  )
}

/** Sets the schedule. What streams alone have, or have not, goes with it. */
function scheduled(sync: string, schedule: unknown): string {
  const after = withValue(sync, ['schedule'], schedule)
  const unfit: readonly Path[] =
    schedule !== 'continuous'
      ? [['slice'], ['errors', 'retryAfter']]
      : [['maxDuration'], ...(textAt(sync, ['delivery']) === 'at-most-once' ? [['delivery']] : [])]
  return unfit.reduce((text, path) => withValue(text, path, undefined), after)
}

function Schedule({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, ['schedule'])
  const kind =
    typeof value === 'object' && value !== null
      ? 'cron' in value
        ? 'cron'
        : 'every'
      : value === 'continuous'
        ? value
        : 'manual'
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const start: { readonly [kind: string]: unknown } = {
    continuous: 'continuous',
    every: { every: '15m' },
    cron: { cron: '0 5 * * *', timezone: zone },
  }
  const problem = problemAt(editing, ['schedule'])
  return (
    <fieldset>
      <legend>When it runs</legend>
      <SelectField
        label="Schedule"
        docs={docsOf(editing, ['schedule'])}
        value={kind}
        readOnly={readOnly}
        options={[
          ['manual', 'when somebody asks'],
          ['every', 'at an interval'],
          ['cron', 'at times of the day (cron)'],
          ['continuous', 'each change as it comes'],
        ]}
        onChoose={chosen => change(scheduled(text, start[chosen]))}
      />
      {kind === 'every' ? (
        <DurationField editing={editing} path={['schedule', 'every']} label="Every" unit="m" />
      ) : null}
      {kind === 'cron' ? (
        <div className="columns">
          <TextField
            editing={editing}
            path={['schedule', 'cron']}
            label="Cron"
            hint="Minute, hour, day, month, day of the week"
          />
          <TextField
            editing={editing}
            path={['schedule', 'timezone']}
            label="Time zone"
            hint="Such as Europe/Paris; UTC if it is empty"
          />
        </div>
      ) : null}
      {problem === undefined ? null : (
        <p className="field-error">
          <ServerMessage text={problem} />
        </p>
      )}
      {kind === 'continuous' ? <StreamFields editing={editing} /> : null}
      {kind === 'manual' || kind === 'continuous' ? null : <NextTimes text={text} />}
      <SwitchField editing={editing} path={['paused']} label="Paused: the schedule starts nothing" />
    </fieldset>
  )
}

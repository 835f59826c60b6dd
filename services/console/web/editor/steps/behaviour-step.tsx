/** The step for the schedule and the error handling. */
import type { ReactElement } from 'react'
import { textAt, valueAt, withValue } from '../draft.ts'
import { ChoiceField, NAME_HINT, problemAt, SwitchField, TextField } from '../fields.tsx'
import { NextTimes } from '../next-times.tsx'
import { ServerMessage } from '../../ui/server-message.tsx'
import type { Editing } from '../use-editing.ts'

export function BehaviourStep({ editing }: { readonly editing: Editing }): ReactElement {
  const { text } = editing
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name of the sync" hint={NAME_HINT} />
      <Schedule editing={editing} />
      <ChoiceField
        editing={editing}
        path={['firstRun']}
        label="The first run"
        choices={[
          ['backfill', 'sends all rows'],
          ['skip-existing', 'sends none: only later changes are sent'],
          ['ask', 'fails until somebody says which of both'],
        ]}
      />
      <fieldset>
        <legend>When a row cannot be delivered</legend>
        <ChoiceField
          editing={editing}
          path={['errors', 'retry']}
          label="Retry"
          choices={[
            ['next-run', 'on the next run'],
            ['now', 'in this run, and then on the next'],
          ]}
        />
        {textAt(text, ['errors', 'retry']) === 'now' ? (
          <TextField
            editing={editing}
            path={['errors', 'attempts']}
            label="Retries within the run"
            isNumber
            placeholder="3"
          />
        ) : null}
        <TextField
          editing={editing}
          path={['errors', 'giveUpAfter']}
          label="Stop retrying after this many runs"
          isNumber
          placeholder="never"
        />
        <SwitchField
          editing={editing}
          path={['errors', 'splitBatches']}
          label="Halve a rejected batch until the bad rows stand alone"
          on={true}
          off={undefined}
          isOn={valueAt(text, ['errors', 'splitBatches']) === true}
        />
      </fieldset>
      <fieldset className="columns">
        <legend>Hold a run for approval if it would remove more than</legend>
        <TextField
          editing={editing}
          path={['removalGuard', 'share']}
          label="this share of the rows"
          placeholder="0.5"
        />
        <TextField
          editing={editing}
          path={['removalGuard', 'rows']}
          label="and this many rows"
          isNumber
          placeholder="100"
          hint="With both left empty, also if the model has become empty."
        />
      </fieldset>
      <TextField editing={editing} path={['timeout']} label="Wait for an answer at most" placeholder="30s" />
    </>
  )
}

function Schedule({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, ['schedule'])
  const kind = typeof value === 'object' && value !== null ? ('cron' in value ? 'cron' : 'every') : 'manual'
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const start: { readonly [kind: string]: unknown } = {
    every: { every: '15m' },
    cron: { cron: '0 5 * * *', timezone: zone },
  }
  const problem = problemAt(editing, ['schedule'])
  return (
    <fieldset>
      <legend>When it runs</legend>
      <label className="field">
        <span>Schedule</span>
        <select
          value={kind}
          disabled={readOnly}
          onChange={({ target }) => change(withValue(text, ['schedule'], start[target.value]))}
        >
          <option value="manual">when somebody asks</option>
          <option value="every">at an interval</option>
          <option value="cron">at times of the day (cron)</option>
        </select>
      </label>
      {kind === 'every' ? (
        <TextField
          editing={editing}
          path={['schedule', 'every']}
          label="Every"
          hint="Such as 30s, 15m, 1h, 1d"
        />
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
      {kind === 'manual' ? null : <NextTimes text={text} />}
      <SwitchField
        editing={editing}
        path={['paused']}
        label="Paused: the schedule starts nothing"
        on={true}
        off={undefined}
        isOn={valueAt(text, ['paused']) === true}
      />
    </fieldset>
  )
}

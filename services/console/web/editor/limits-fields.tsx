/** The limits of a destination, or of one sync: one rate or several, and concurrent requests. */
import type { ReactElement } from 'react'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { textAt, valueAt, withValue, type Path } from './draft.ts'
import { TextField } from './fields.tsx'
import { SelectField } from './select-field.tsx'
import { DurationField } from './unit-fields.tsx'
import type { Editing } from './use-editing.ts'

const RATE: Path = ['limits', 'rate']
const TIMES = ['second', 'minute', 'hour']

interface LimitsProps {
  readonly editing: Editing
  readonly legend: string
  /** The words for no limits at all. */
  readonly otherwise?: string
}

export function LimitsFields({ editing, legend, otherwise }: LimitsProps): ReactElement {
  const { text, change, readOnly } = editing
  const limits = valueAt(text, ['limits'])
  const rate = valueAt(text, RATE)
  const rates: readonly unknown[] = Array.isArray(rate) ? rate : [rate]
  const write = (next: readonly unknown[]): void =>
    change(withValue(text, RATE, next.length > 1 ? next : next[0]))
  return (
    <fieldset>
      <legend>{legend}</legend>
      {rates.map((_, index) => (
        <div key={index} className="columns">
          <RateFields
            editing={editing}
            path={Array.isArray(rate) ? [...RATE, index] : RATE}
            number={index === 0 ? '' : ` ${index + 1}`}
          />
          {rates.length === 1 ? null : (
            <button
              type="button"
              disabled={readOnly}
              onClick={() => write(rates.filter((__, at) => at !== index))}
            >
              Remove
            </button>
          )}
        </div>
      ))}
      <div className="columns">
        <TextField
          editing={editing}
          path={['limits', 'concurrency']}
          label="Concurrent requests"
          isNumber
          placeholder="100"
        />
        <button
          type="button"
          disabled={readOnly || rate === undefined}
          onClick={() => write([...rates, { requests: 1000, per: 'minute' }])}
        >
          Add another rate limit
        </button>
      </div>
      <p className="quiet">
        {limits === undefined && otherwise !== undefined
          ? otherwise
          : `Rate limit: ${limitsInWords(limits)}.`}
      </p>
    </fieldset>
  )
}

interface RateProps {
  readonly editing: Editing
  readonly path: Path
  readonly number: string
}

/** A rate needs both a number of requests and a time. */
function RateFields({ editing, path, number }: RateProps): ReactElement {
  const { text, change, readOnly } = editing
  const at = [...path, 'per']
  const per = textAt(text, at)
  const isOther = per !== '' && !TIMES.includes(per)
  const whole = (changed: string): void => {
    if (textAt(changed, [...path, 'requests']) === '') change(withValue(changed, path, undefined))
    else change(textAt(changed, at) === '' ? withValue(changed, at, 'second') : changed)
  }
  return (
    <>
      <TextField
        editing={{ ...editing, change: whole }}
        path={[...path, 'requests']}
        label={`Rate limit${number}`}
        isNumber
        placeholder="1000"
      />
      <SelectField
        label={`Requests per${number}`}
        value={isOther ? 'other' : per || 'second'}
        readOnly={readOnly}
        options={[...TIMES.map(time => [time, time] as const), ['other', 'another time']]}
        onChoose={chosen => {
          const changed = withValue(text, at, chosen === 'other' ? '10s' : chosen)
          const requests = [...path, 'requests']
          change(textAt(changed, requests) === '' ? withValue(changed, requests, 100) : changed)
        }}
      />
      {isOther ? <DurationField editing={editing} path={at} label={`Time of the rate${number}`} /> : null}
    </>
  )
}

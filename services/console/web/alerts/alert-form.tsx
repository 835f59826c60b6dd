/** The form of an alert: the syncs that it watches, its conditions, and the target of its notices. */
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { setSecret } from '../api/commands.ts'
import { resourcesQuery, secretsQuery } from '../api/queries.ts'
import { freeName, nameIn, textAt, valueAt, withValue } from '../editor/draft.ts'
import { NAME_HINT, Labelled, problemAt, TextField } from '../editor/fields.tsx'
import { KeptSecretField, secretAs } from '../editor/kept-secret-field.tsx'
import { namesOf } from '../editor/reused.ts'
import { SelectField } from '../editor/select-field.tsx'
import { Ticks } from '../editor/ticks.tsx'
import { PercentField } from '../editor/unit-fields.tsx'
import { useLateChange, type Editing } from '../editor/use-editing.ts'
import { fieldsOf } from '../ui/fields-of.ts'
import { CopyButton } from '../ui/parts.tsx'
import { toastError } from '../ui/toast.tsx'
import { smtpParts, smtpUrl, type SmtpParts } from './smtp-url.ts'

export function AlertForm({ editing }: { readonly editing: Editing }): ReactElement {
  return (
    <>
      <TextField editing={editing} path={['name']} label="Name" hint={NAME_HINT} />
      <SyncsField editing={editing} />
      <ConditionsField editing={editing} />
      <TargetFields editing={editing} />
    </>
  )
}

function SyncsField({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const { data } = useQuery(resourcesQuery)
  const value = valueAt(text, ['syncs'])
  const chosen = Array.isArray(value) ? value.map(String) : []
  const all = namesOf(data?.resources ?? [], 'sync')
  const isAll = !Array.isArray(value)
  return (
    <fieldset className="checks">
      <legend>Syncs that it watches</legend>
      <label>
        <input
          type="checkbox"
          checked={isAll}
          disabled={readOnly}
          onChange={() => change(withValue(text, ['syncs'], isAll ? all : 'all'))}
        />
        All, also later ones
      </label>
      {isAll ? null : (
        <Ticks
          names={all}
          chosen={chosen}
          readOnly={readOnly}
          onChange={next => change(withValue(text, ['syncs'], next))}
        />
      )}
      {!isAll && chosen.length === 0 ? <p className="field-error">Tick at least one sync.</p> : null}
    </fieldset>
  )
}

interface Condition {
  readonly name: string
  readonly words: string
  /** The field of its limit, with the value that it begins with. */
  readonly limit?: { readonly field: string; readonly start: unknown; readonly label: string }
}

const CONDITIONS: readonly Condition[] = [
  { name: 'run-failed', words: 'A run fails' },
  {
    ...{ name: 'rows-failed', words: 'A share of the rows of a run is not delivered' },
    limit: { field: 'share', start: 0.01, label: 'At least this share' },
  },
  { name: 'held', words: 'A run waits for approval' },
  {
    ...{ name: 'slow', words: 'A run takes too long' },
    limit: { field: 'longerThan', start: '1h', label: 'Longer than, such as 30m or 2h' },
  },
  {
    ...{ name: 'silent', words: 'No run ends well for too long' },
    limit: { field: 'noSuccessFor', start: '1d', label: 'For this long, such as 12h or 2d' },
  },
  {
    ...{ name: 'lagging', words: 'A stream is behind its source for a minute' },
    limit: { field: 'above', start: '1m', label: 'By more than, such as 10s or 5m' },
  },
  { name: 'auth-failing', words: 'A destination refuses the login' },
  { name: 'destination-failing', words: 'A destination fails, or cannot be used' },
  { name: 'certificate-expiring', words: 'A certificate expires soon' },
]

const nameOf = (condition: unknown): string =>
  typeof condition === 'object' && condition !== null ? (Object.keys(condition)[0] ?? '') : String(condition)

function ConditionsField({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const value = valueAt(text, ['when'])
  const present: readonly unknown[] = Array.isArray(value) ? value : []
  const problem = problemAt(editing, ['when'])
  const toggle = ({ name, limit }: Condition): void => {
    const others = present.filter(each => nameOf(each) !== name)
    const added = limit === undefined ? name : { [name]: { [limit.field]: limit.start } }
    change(withValue(text, ['when'], others.length < present.length ? others : [...present, added]))
  }
  return (
    <fieldset className="conditions">
      <legend>It sends a notice when</legend>
      {CONDITIONS.map(condition => {
        const { name, words, limit } = condition
        const at = present.findIndex(each => nameOf(each) === name)
        return (
          <div key={name}>
            <label>
              <input
                type="checkbox"
                checked={at >= 0}
                disabled={readOnly}
                onChange={() => toggle(condition)}
              />
              {words}
            </label>
            {at < 0 || limit === undefined ? null : name === 'rows-failed' ? (
              <PercentField
                editing={editing}
                path={['when', at, name, limit.field]}
                label={limit.label}
                keepsEmpty
              />
            ) : (
              <TextField editing={editing} path={['when', at, name, limit.field]} label={limit.label} />
            )}
          </div>
        )
      })}
      {present.length === 0 || problem !== undefined ? (
        <p className="field-error">{present.length === 0 ? 'Tick at least one condition.' : problem}</p>
      ) : null}
    </fieldset>
  )
}

const SLACK = 'https://hooks.slack.com/services/'
const STARTS: { readonly [target: string]: unknown } = {
  slack: { slack: { url: '' } },
  email: { email: { smtp: '', from: '', to: '' } },
  webhook: { webhook: { url: '', secret: '' } },
}

function TargetFields({ editing }: { readonly editing: Editing }): ReactElement {
  const { text, change, readOnly } = editing
  const [kind = 'slack'] = Object.keys(fieldsOf(valueAt(text, ['to'])))
  return (
    <fieldset>
      <legend>Where notices go</legend>
      <SelectField
        label="Target"
        problem={problemAt(editing, ['to'])}
        value={kind}
        readOnly={readOnly}
        options={[
          ['slack', 'Slack'],
          ['email', 'E-mail'],
          ['webhook', 'A webhook'],
        ]}
        onChoose={chosen => change(withValue(text, ['to'], STARTS[chosen]))}
      />
      {kind === 'slack' ? <SlackFields editing={editing} /> : null}
      {kind === 'email' ? <EmailFields editing={editing} /> : null}
      {kind === 'webhook' ? <WebhookFields editing={editing} /> : null}
    </fieldset>
  )
}

/** Slack's URL is itself the credential: all of it behind the host is a secret. */
function SlackFields({ editing }: { readonly editing: Editing }): ReactElement {
  const path = ['to', 'slack', 'url']
  const url = textAt(editing.text, path)
  const missing = problemAt(editing, path)
  const start = (typed: string): string => {
    const { origin = '', pathname = '' } = URL.parse(typed.trim()) ?? {}
    return typed.trim().startsWith(SLACK) ? SLACK : pathname.length > 1 ? `${origin}/` : ''
  }
  return (
    <KeptSecretField
      editing={editing}
      label="Incoming webhook"
      problem={url === '' ? missing && 'Paste the URL that Slack shows.' : missing}
      hint="Slack shows it as “Webhook URL” of an app with incoming webhooks. Paste all of it."
      withoutPlace={`Paste the whole URL, such as ${SLACK}T000/B000/XXXX.`}
      suggested={`${nameIn(editing.text)}-slack`}
      secret={/\$\{secret:([^}]+)\}/.exec(url)?.[1]}
      read={typed => {
        const from = start(typed)
        return {
          value: typed.trim().slice(from.length),
          grant: from === '' ? '' : `${URL.parse(from)?.host ?? ''} alert`,
        }
      }}
      write={(text, secret, typed) => {
        const from = start(typed) || url.replace(/\$\{.*$/, '') || SLACK
        return withValue(text, path, secret === undefined ? '' : `${from}\${secret:${secret}}`)
      }}
    />
  )
}

function WebhookFields({ editing }: { readonly editing: Editing }): ReactElement {
  const host = URL.parse(textAt(editing.text, ['to', 'webhook', 'url']))?.host ?? ''
  const path = ['to', 'webhook', 'secret']
  const value = textAt(editing.text, path)
  const missing = problemAt(editing, path)
  const suggested = `${nameIn(editing.text)}-signing`
  return (
    <>
      <TextField
        editing={editing}
        path={['to', 'webhook', 'url']}
        label="Address"
        placeholder="https://example.com/notices"
        hint="Notices are posted there as JSON."
      />
      <KeptSecretField
        editing={editing}
        label="Signing secret"
        problem={value === '' ? missing && 'Make a secret, or type one.' : missing}
        hint="Notices are signed with it (Standard Webhooks): `whsec_` and Base64. Make one here, or type yours."
        withoutPlace="Type the address first: the vault keeps the secret for its host alone."
        suggested={suggested}
        secret={secretAs(value)}
        read={typed => ({ value: typed, grant: host === '' ? '' : `${host} alert` })}
        write={(text, secret) => withValue(text, path, secret === undefined ? '' : `\${secret:${secret}}`)}
      />
      <NewSigningSecret editing={editing} name={suggested} host={host} />
    </>
  )
}

const SECRET_BYTES = 32

/** Makes a signing secret, and shows it this once, since its receiver has to know it. */
function NewSigningSecret(props: {
  readonly editing: Editing
  readonly name: string
  readonly host: string
}): ReactElement {
  const { editing, host } = props
  const { data } = useQuery(secretsQuery)
  const changeLate = useLateChange(editing)
  const [made, setMade] = useState<string | null>(null)
  const make = async (): Promise<void> => {
    const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES))
    const value = `whsec_${btoa(String.fromCharCode(...bytes))}`
    const name = freeName(props.name, data?.secrets.map(secret => secret.name) ?? [])
    try {
      await setSecret({ name, value, for: `${host} alert` })
      setMade(value)
      changeLate(text => withValue(text, ['to', 'webhook', 'secret'], `\${secret:${name}}`))
    } catch (error) {
      toastError(error)
    }
  }
  return (
    <div className="field">
      <p className="actions">
        <button type="button" disabled={editing.readOnly || host === ''} onClick={() => void make()}>
          Make a secret
        </button>
      </p>
      {made === null ? null : (
        <p role="status">
          <code>{made}</code> <CopyButton text={made} /> <br />
          <small>Give it to the receiver now. It is not shown again.</small>
        </p>
      )}
    </div>
  )
}

function EmailFields({ editing }: { readonly editing: Editing }): ReactElement {
  const path = ['to', 'email', 'smtp']
  const { text, change, readOnly } = editing
  const parts = smtpParts(textAt(text, path))
  const problem = problemAt(editing, path)
  if (parts === null) return <TextField editing={editing} path={path} label="Mail server" />
  const set = (changed: Partial<SmtpParts>): void =>
    change(withValue(text, path, smtpUrl({ ...parts, ...changed })))
  const field = (part: 'host' | 'port' | 'user', label: string, placeholder: string): ReactElement => {
    const own =
      part !== 'host' || problem === undefined
        ? undefined
        : parts.host === ''
          ? 'Type the name of the mail server.'
          : problem
    return (
      <Labelled label={label} problem={own}>
        {({ id, describedBy }) => (
          <input
            id={id}
            value={parts[part]}
            placeholder={placeholder}
            autoComplete="off"
            spellCheck={false}
            aria-invalid={own !== undefined}
            aria-describedby={describedBy}
            readOnly={readOnly}
            onChange={({ target: { value } }) =>
              set({ [part]: part === 'port' ? value.replaceAll(/\D/g, '') : value.replaceAll(/\s/g, '') })
            }
          />
        )}
      </Labelled>
    )
  }
  return (
    <>
      <div className="columns host-and-port">
        {field('host', 'Mail server', 'mail.example.com')}
        {field('port', 'Port', parts.isTls ? '465' : '587')}
      </div>
      <SelectField
        label="Encryption"
        value={parts.isTls ? 'smtps' : 'smtp'}
        readOnly={readOnly}
        options={[
          ['smtps', 'TLS from the start'],
          ['smtp', 'STARTTLS'],
        ]}
        onChoose={chosen => set({ isTls: chosen === 'smtps' })}
      />
      {field('user', 'User', 'sluice@example.com')}
      <KeptSecretField
        editing={editing}
        label="Password"
        problem={undefined}
        hint="The vault keeps it for this mail server alone."
        withoutPlace="Type the mail server first: the vault keeps a password for its server alone."
        suggested={`${nameIn(text)}-smtp`}
        secret={parts.secret || undefined}
        read={typed => ({ value: typed, grant: parts.host === '' ? '' : `${parts.host} alert` })}
        write={(into, secret = '') => {
          const now = smtpParts(textAt(into, path)) ?? parts
          return withValue(into, path, smtpUrl({ ...now, secret }))
        }}
      />
      <TextField
        editing={editing}
        path={['to', 'email', 'from']}
        label="From"
        placeholder="Sluice <sluice@example.com>"
      />
      <TextField
        editing={editing}
        path={['to', 'email', 'to']}
        label="To"
        isList
        placeholder="data@example.com"
        hint="Several addresses stand between commas."
      />
    </>
  )
}
